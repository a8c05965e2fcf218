package pack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Package is an open function package. All methods but Close may be called concurrently.
type Package struct {
	manifest Manifest
	digest   Digest
	size     int64
	files    []file // sorted by name
	archive  *os.File
}

// File is one of the files of a package. The manifest does not count as one.
type File struct {
	Name      string `json:"name"`
	SizeBytes int64  `json:"size_bytes"`
}

// Open opens a package. What is at the path decides, and not its name, except *.json: an
// archive, which Open reads and checks completely; or else input of Build, which Open calls.
// The files must not change until Close. The caller closes the package.
func Open(path string) (*Package, error) {
	kind, err := kindOf(path)
	if err != nil {
		return nil, err
	}
	if kind != kindArchive {
		return Build(path, nil)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	p, err := openArchive(f)
	if err != nil {
		f.Close()
		if errors.Is(err, errNoPackage) && filepath.Ext(path) != Extension {
			return nil, fmt.Errorf("pack: %s is neither a package nor code, such as a script, which begins with #! and the path of its interpreter", path)
		}
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	return p, nil
}

// OpenFunction is Open for who calls one function. A package that is made of code, and whose
// manifest says no functions, has only the one with this name, or with no name the only one
// that there is; so it does not matter how many others the code has. edit, unless nil, may
// change the manifest of bare code; it is not called for others.
func OpenFunction(path, name string, edit func(*Manifest) error) (*Package, error) {
	kind, err := kindOf(path)
	switch {
	case err != nil:
		return nil, err
	case kind == kindArchive:
		return Open(path)
	case kind != kindCode:
		edit = nil
	}
	return buildOf(path, kind, false, edit, one(name, path))
}

// openArchive reads an archive and records the positions of its files.
func openArchive(f *os.File) (*Package, error) {
	r, err := newReader(f, maxArchiveBytes)
	if err != nil {
		return nil, err
	}
	p := &Package{manifest: r.manifest, archive: f}
	if err := r.each(func(name string, size int64) error {
		at := r.position
		p.files = append(p.files, file{name, size, func() (content, error) {
			return section{io.NewSectionReader(f, at, size)}, nil
		}})
		return nil
	}); err != nil {
		return nil, err
	}
	p.digest, p.size = r.digest(), r.position
	return p, nil
}

// section is a file within an archive.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

// newPackage makes a package of files, which it reads for the digest.
func newPackage(m Manifest, files []file) (*Package, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	p := &Package{manifest: m, files: files}
	if _, ok := p.file(m.Module); !ok {
		return nil, fmt.Errorf("pack: manifest: module: there is no file %q in the package", m.Module)
	}
	manifest := m.JSON()
	if n := archiveSize(manifest, files); n > maxArchiveBytes {
		return nil, fmt.Errorf("pack: the package would have %d bytes: must be at most %d", n, int64(maxArchiveBytes))
	}
	var err error
	p.digest, p.size, err = writeArchive(io.Discard, manifest, files)
	return p, err
}

// Manifest returns the package's manifest. What it points to belongs to the package and must
// not be changed.
func (p *Package) Manifest() Manifest { return p.manifest }

// Digest returns the package's address.
func (p *Package) Digest() Digest { return p.digest }

// Size returns the size of the archive in bytes.
func (p *Package) Size() int64 { return p.size }

// Files lists the files without the manifest, sorted by name.
func (p *Package) Files() []File {
	files := make([]File, len(p.files))
	for i, f := range p.files {
		files[i] = File{f.name, f.size}
	}
	return files
}

func (p *Package) file(name string) (file, bool) {
	for _, f := range p.files {
		if f.name == name {
			return f, true
		}
	}
	return file{}, false
}

// OpenModule opens the code for reading. The caller closes it before the package.
func (p *Package) OpenModule() (io.ReadCloser, error) {
	f, _ := p.file(p.manifest.Module) // every package has it
	c, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return c, nil
}

// Code reads the declarations of the package's code. It is for tools: a program that runs a
// package leaves that to the runtime, in a confined process.
func (p *Package) Code() (*Code, error) {
	f, _ := p.file(p.manifest.Module)
	return readCode(f)
}

// WriteTo writes the archive. It fails if the files have changed since the package was
// opened; then the output is not valid.
func (p *Package) WriteTo(w io.Writer) (int64, error) {
	digest, n, err := writeArchive(w, p.manifest.JSON(), p.files)
	if err == nil && digest != p.digest {
		err = fmt.Errorf("pack: package %s: %w", p.manifest.Name, errChanged)
	}
	return n, err
}

// Close closes the package. Packages installed from it stay usable.
func (p *Package) Close() error {
	if p.archive == nil {
		return nil
	}
	return p.archive.Close()
}
