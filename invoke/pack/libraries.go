package pack

import (
	"bufio"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/internal/elffile"
)

// Library is a library that a shared object or executable needs, or that another of its
// libraries needs.
type Library struct {
	Name string // as it is needed
	Path string // where the loader finds it; empty if it does not
}

// Libraries lists the libraries that the loader would load with the code in a file, in the
// order in which it looks for them, without those of the folders of the system. They are
// found as ld.so(8) says: by RPATH, searchPath, which is LD_LIBRARY_PATH's value, RUNPATH, and
// the system's configuration. Nothing of the code is run.
func Libraries(path, searchPath string) ([]Library, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	s := search{path: filepath.SplitList(searchPath), seen: map[string]bool{}}
	top, err := readObject(absolute)
	if err != nil {
		return nil, fmt.Errorf("pack: libraries of %s: %w", path, err)
	}
	s.follow(top)
	return s.found, nil
}

// maxLibraries bounds how many are followed.
const maxLibraries = 4096

type search struct {
	path  []string
	seen  map[string]bool
	found []Library
}

// object is what the loader reads of a file.
type object struct {
	path           string
	machine        elf.Machine
	class          elf.Class
	needed         []string
	rpath, runpath []string
	parent         *object // that needed it
}

func readObject(path string) (_ *object, err error) {
	defer func() {
		// debug/elf does not promise to withstand hostile files.
		if p := recover(); p != nil {
			err = fmt.Errorf("%s is damaged: %v", path, p)
		}
	}()
	f, err := openRegular(path, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := elffile.Open(f)
	if err != nil {
		return nil, err
	}
	o := &object{path: path, machine: file.Machine, class: file.Class}
	if o.needed, err = file.DynString(elf.DT_NEEDED); err != nil {
		return nil, err
	}
	origin := strings.NewReplacer("$ORIGIN", filepath.Dir(path), "${ORIGIN}", filepath.Dir(path))
	for tag, into := range map[elf.DynTag]*[]string{elf.DT_RPATH: &o.rpath, elf.DT_RUNPATH: &o.runpath} {
		values, err := file.DynString(tag)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			*into = append(*into, filepath.SplitList(origin.Replace(v))...)
		}
	}
	return o, nil
}

// follow finds what an object needs, level by level as the loader does.
func (s *search) follow(top *object) {
	for queue := []*object{top}; len(queue) > 0; queue = queue[1:] {
		o := queue[0]
		for _, name := range o.needed {
			if s.seen[name] || len(s.seen) == maxLibraries {
				continue
			}
			s.seen[name] = true
			library := s.find(o, name)
			if library == nil {
				if !ofLoader(name) {
					s.found = append(s.found, Library{Name: name})
				}
				continue
			}
			if !inSystem(library.path) {
				s.found = append(s.found, Library{name, library.path})
			}
			library.parent = o
			queue = append(queue, library)
		}
	}
}

// find looks for a library that an object needs.
func (s *search) find(o *object, name string) *object {
	if strings.Contains(name, "/") {
		return s.try(o, name)
	}
	var folders []string
	if len(o.runpath) == 0 {
		for p := o; p != nil; p = p.parent {
			if len(p.runpath) == 0 {
				folders = append(folders, p.rpath...)
			}
		}
	}
	folders = slices.Concat(folders, s.path, o.runpath, systemFolders(), configuredFolders("/etc/ld.so.conf", 0))
	for _, folder := range folders {
		if library := s.try(o, filepath.Join(folder, name)); folder != "" && library != nil {
			return library
		}
	}
	return nil
}

// try opens a library, nil if there is none that the object could use.
func (s *search) try(o *object, path string) *object {
	library, err := readObject(path)
	if err != nil || library.machine != o.machine || library.class != o.class {
		return nil
	}
	return library
}

// system are the folders whose libraries are the system's, and that isolated code sees.
var system = []string{"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64", "/nix/store", "/gnu/store"}

// systemFolders are those that loaders search: with multiarch, folders of them are.
func systemFolders() []string {
	multiarch, _ := filepath.Glob("/usr/lib/*-linux-gnu") // the pattern is well-formed
	return append(multiarch, system[:len(system)-2]...)
}

// inSystem reports whether a library, and what it is a link to, is the system's.
func inSystem(path string) bool {
	at, err := filepath.EvalSymlinks(path)
	if err != nil {
		at = path
	}
	return slices.ContainsFunc(system, func(folder string) bool { return strings.HasPrefix(at, folder+"/") })
}

// ofLoader reports whether a name is that of the loader itself, or of what the kernel
// provides.
func ofLoader(name string) bool {
	return strings.HasPrefix(name, "ld-linux") || strings.HasPrefix(name, "linux-vdso")
}

// configuredFolders are those of the loader's configuration, see ldconfig(8).
func configuredFolders(file string, depth int) []string {
	const deepest = 8
	f, err := os.Open(file)
	if err != nil || depth > deepest {
		return nil
	}
	defer f.Close()
	var folders []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		line = strings.TrimSpace(line)
		pattern, include := strings.CutPrefix(line, "include ")
		switch {
		case include:
			pattern = strings.TrimSpace(pattern)
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(file), pattern)
			}
			files, _ := filepath.Glob(pattern) // a malformed pattern includes nothing
			for _, f := range files {
				folders = append(folders, configuredFolders(f, depth+1)...)
			}
		case filepath.IsAbs(line):
			folders = append(folders, line)
		}
	}
	return folders
}

// withLibraries adds the libraries of the module to the files of a package.
func withLibraries(path string, kind kind, module string, files []file) ([]file, error) {
	searchPath := os.Getenv("LD_LIBRARY_PATH")
	switch kind {
	case kindFolder: // what the package has, executors find first
		searchPath = strings.Join([]string{path, filepath.Join(path, "lib"), searchPath}, string(filepath.ListSeparator))
		path = filepath.Join(path, filepath.FromSlash(module))
	case kindManifest:
		path = filepath.Join(filepath.Dir(path), filepath.FromSlash(module))
	}
	libraries, err := Libraries(path, searchPath)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, l := range libraries {
		switch name := "lib/" + filepath.Base(l.Name); {
		case l.Path == "":
			missing = append(missing, l.Name)
		case slices.ContainsFunc(files, func(f file) bool { return f.name == name || f.name == filepath.Base(l.Name) }): // the package has it
		default:
			if err := checkPath(name); err != nil {
				return nil, fmt.Errorf("pack: the library %s: %w", l.Path, err)
			}
			f, err := diskFile(name, l.Path, 0)
			if err != nil {
				return nil, err
			}
			files = append(files, f)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("pack: %s needs libraries that are not found: %s; say where they are with LD_LIBRARY_PATH", path, fewOf(missing))
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, nil
}
