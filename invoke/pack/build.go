package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// Extension is the suffix of the file names of packages.
const Extension = ".rfaas"

// Build makes a package of the file or folder at a path:
//
//   - bare code, which is a shared object, a WebAssembly module, a script or an executable: of
//     that file alone;
//   - a folder: of all its files, manifest.json included if there is one;
//   - a manifest, in a file *.json: of it and the module that it names, by a path
//     relative to the manifest's folder.
//
// Then edit, unless nil, may change the manifest. After that, missing fields get their
// defaults, and everything is checked: that this build can run the code (native code
// has to be for this processor and operating system) and that it has the entry points.
//
// Build reads the files for the digest, and WriteTo reads them again; they must not
// change in between.
func Build(path string, edit func(*Manifest) error) (*Package, error) {
	return buildAny(path, edit, false)
}

// BuildWithLibraries is Build with the libraries that native code needs and the system does
// not have: they become files of the package, in lib, where executors find them. See
// Libraries; LD_LIBRARY_PATH is this process's. Those of the package itself stay.
func BuildWithLibraries(path string, edit func(*Manifest) error) (*Package, error) {
	return buildAny(path, edit, true)
}

func buildAny(path string, edit func(*Manifest) error, libraries bool) (*Package, error) {
	kind, err := kindOf(path)
	if err != nil {
		return nil, err
	}
	return buildOf(path, kind, libraries, edit, allFunctions)
}

// buildOf is Build for what is at the path. functions are those of a package whose manifest
// does not say them.
func buildOf(path string, kind kind, libraries bool, edit func(*Manifest) error, functions func(*Code) ([]Function, error)) (_ *Package, err error) {
	var m Manifest
	var files []file
	switch kind {
	case kindArchive:
		return nil, fmt.Errorf("pack: %s is a package already, or no code: a package is made of a shared object, a WebAssembly module, a script, an executable, a folder or a manifest (*.json)", path)
	case kindCode:
		m, files, err = fromCode(path)
	case kindFolder:
		m, files, err = fromFolder(path)
	case kindManifest:
		m, files, err = fromManifest(path)
	}
	if err != nil {
		return nil, err
	}
	if edit != nil {
		if err := edit(&m); err != nil {
			return nil, err
		}
	}
	if libraries {
		if files, err = withLibraries(path, kind, m.Module, files); err != nil {
			return nil, err
		}
	}
	p, err := complete(path, m, files, functions)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	return p, nil
}

type kind int

const (
	kindArchive kind = iota
	kindCode
	kindFolder
	kindManifest
)

// kindOf determines what is at a path. Unknown content counts as an archive, whose
// reader says what is wrong with it.
func kindOf(path string) (kind, error) {
	f, err := openRegular(path, 0)
	if errors.Is(err, unix.EISDIR) {
		return kindFolder, nil
	} else if err != nil {
		return 0, fmt.Errorf("pack: %w", err)
	}
	defer f.Close()
	if strings.HasSuffix(path, ".json") {
		return kindManifest, nil
	}
	if _, err := codeReader(f); err == nil {
		return kindCode, nil
	}
	return kindArchive, nil
}

// openRegular opens a regular file. It does not block on anything else, such as a named
// pipe. For a folder the error is EISDIR.
func openRegular(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = &fs.PathError{Op: "open", Path: path, Err: unix.EISDIR}
	case !info.Mode().IsRegular():
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("is not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// diskFile is a file of a package, at a path on disk.
func diskFile(name, path string, flags int) (file, error) {
	f, err := openRegular(path, flags)
	if err != nil {
		return file{}, fmt.Errorf("pack: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return file{}, fmt.Errorf("pack: %w", err)
	}
	return file{name, info.Size(), func() (content, error) { return openRegular(path, flags) }}, nil
}

// fromCode is for a file that is code. If possible it keeps its file name, which crash
// reports show.
func fromCode(path string) (Manifest, []file, error) {
	name := filepath.Base(path)
	if checkPath(name) != nil || name == manifestFile {
		name = "module"
	}
	f, err := diskFile(name, path, 0)
	return Manifest{Name: nameFor(withoutExtension(path)), Module: name}, []file{f}, err
}

// nameFor is a package name for a path: its last part, with _ in place of bytes that names
// cannot have.
func nameFor(path string) string {
	b := []byte(strings.TrimLeft(filepath.Base(path), ".-"))
	for i, c := range b {
		if !nameByte(c) {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "package"
	}
	return string(b[:min(len(b), maxNameBytes)])
}

func withoutExtension(path string) string { return strings.TrimSuffix(path, filepath.Ext(path)) }

// fromManifest is for a manifest and the module that it names.
func fromManifest(path string) (Manifest, []file, error) {
	data, err := readManifest(path, 0)
	if err != nil {
		return Manifest{}, nil, err
	}
	m, err := decodeManifest(data)
	if err != nil {
		return Manifest{}, nil, fmt.Errorf("%w (%s)", err, path)
	}
	if m.Module == "" {
		return Manifest{}, nil, fmt.Errorf("pack: manifest: module: is missing: name the file of the code (%s)", path)
	}
	if err := checkPath(m.Module); err != nil {
		return Manifest{}, nil, fmt.Errorf("pack: manifest: module: %w (%s)", err, path)
	}
	f, err := diskFile(m.Module, filepath.Join(filepath.Dir(path), filepath.FromSlash(m.Module)), 0)
	return m, []file{f}, err
}

func readManifest(path string, flags int) ([]byte, error) {
	f, err := openRegular(path, flags)
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifestBytes+1))
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return data, nil
}

// fromFolder is for all files of a folder.
func fromFolder(dir string) (Manifest, []file, error) {
	files, err := folderFiles(dir)
	if err != nil {
		return Manifest{}, nil, err
	}
	data, err := readManifest(filepath.Join(dir, manifestFile), unix.O_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) {
		data = []byte("{}")
	} else if err != nil {
		return Manifest{}, nil, err
	}
	m, err := decodeManifest(data)
	if err != nil {
		return Manifest{}, nil, fmt.Errorf("%w (%s)", err, filepath.Join(dir, manifestFile))
	}
	if m.Module == "" {
		m.Module, err = onlyCode(dir, files)
	}
	return m, files, err
}

// folderFiles lists the files of a folder without the manifest, sorted by name.
func folderFiles(dir string) ([]file, error) {
	var files []file
	// The folder itself may be a link, its entries may not.
	err := filepath.WalkDir(filepath.Clean(dir)+string(filepath.Separator), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		if name = filepath.ToSlash(name); name == "." || name == manifestFile {
			return nil
		}
		if err := checkPath(name); err != nil {
			return fmt.Errorf("pack: %s: %w; rename it, or move what is not of the package elsewhere", path, err)
		}
		switch {
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			return fmt.Errorf("pack: %s is neither a regular file nor a folder (%v): packages have no links and no devices; put a copy there", path, entry.Type())
		case len(files) == maxFiles-1: // with the manifest
			return fmt.Errorf("pack: %s: more than %d files", dir, maxFiles-1)
		}
		f, err := diskFile(name, path, unix.O_NOFOLLOW)
		files = append(files, f)
		return err
	})
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, err
}

// onlyCode is the one file whose name has an extension of code.
func onlyCode(dir string, files []file) (string, error) {
	var found []string
	for _, f := range files {
		if ext := path.Ext(f.name); ext == ".so" || ext == ".wasm" {
			found = append(found, f.name)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("pack: %s: there is no *.so and no *.wasm: name the code as \"module\" in %s", dir, manifestFile)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("pack: %s: which file is the code? name it as \"module\" in %s; there are: %s", dir, manifestFile, strings.Join(found, ", "))
}

// complete fills in defaults, and checks the manifest against the code.
func complete(path string, m Manifest, files []file, functions func(*Code) ([]Function, error)) (_ *Package, err error) {
	if m.Name == "" {
		if m.Name, err = folderName(path); err != nil {
			return nil, err
		}
	}
	if m.Runtime != "" { // first, since this error explains others
		if err := checkRuntime(m.Runtime); err != nil {
			return nil, fmt.Errorf("pack: manifest: runtime: %w", err)
		}
	}
	i := slices.IndexFunc(files, func(f file) bool { return f.name == m.Module })
	if i < 0 {
		return nil, fmt.Errorf("pack: manifest: module: there is no file %s in the package", shown(m.Module))
	}
	code, err := readCode(files[i])
	if err != nil {
		return nil, err
	}
	setDefault(&m.Runtime, code.Runtime)
	if err := code.checkRuntime(m); err != nil {
		return nil, err
	}
	if m.Functions == nil && code.isProgram() {
		m.Functions = []Function{{Name: m.Name, Entry: code.entries(m)[0]}}
	}
	if m.Functions == nil {
		if m.Functions, err = functions(code); err != nil {
			return nil, err
		}
	}
	m.fillIn()
	if err := code.Check(m); err != nil {
		return nil, err
	}
	return newPackage(m, files)
}

// folderName is a package name for a manifest or a folder.
func folderName(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("pack: %w", err)
	}
	switch {
	case filepath.Base(absolute) == manifestFile:
		absolute = filepath.Dir(absolute)
	case strings.HasSuffix(absolute, ".json"):
		absolute = withoutExtension(absolute)
	}
	return nameFor(absolute), nil
}

// isProgram reports whether the code is a program, whose only function gets the package's
// name.
func (c *Code) isProgram() bool {
	return c.Runtime == runtime.Command || c.Runtime == runtime.Wasm && slices.Equal(c.EntryPoints, []string{wasmfile.CommandExport})
}

// allFunctions offers every entry point that somebody has named, under its own name, if that
// can be the name of a function.
func allFunctions(code *Code) ([]Function, error) {
	functions := offered(code)
	if n := len(functions); n > maxFunctions {
		return nil, fmt.Errorf("pack: the code has %d entry points, a package offers at most %d functions: choose those that are to be called", n, maxFunctions)
	}
	if len(functions) == 0 {
		return nil, fmt.Errorf("pack: the code has no entry point that can be called by its name; %s", code.there())
	}
	return functions, nil
}

func offered(code *Code) []Function {
	var functions []Function
	for _, entry := range code.named() {
		if printable(entry, maxFunctionBytes) {
			functions = append(functions, Function{Name: entry, Entry: entry})
		}
	}
	return functions
}

// one offers the function with a name, or if that is empty the only one.
func one(name, path string) func(*Code) ([]Function, error) {
	return func(code *Code) ([]Function, error) {
		if name == "" {
			if functions := offered(code); len(functions) > 1 {
				return nil, fmt.Errorf("pack: the code has %d functions: choose one with %s:NAME; %s", len(functions), path, code.there())
			}
			return allFunctions(code)
		}
		functions := []Function{{Name: name, Entry: name}}
		if err := code.lacks(functions); err != nil {
			return nil, fmt.Errorf("pack: %w", err)
		}
		return functions, nil
	}
}

// fewOf lists names, the first of them if there are many.
func fewOf(names []string) string {
	const most = 16
	s := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		s += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return s
}

// hasMagic reports whether a file begins with some bytes.
func hasMagic(r io.ReaderAt, magic string) bool {
	b := make([]byte, len(magic))
	_, err := r.ReadAt(b, 0)
	return (err == nil || err == io.EOF) && bytes.Equal(b, []byte(magic))
}
