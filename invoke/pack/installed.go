package pack

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Installed is a package of a cache, which keeps it until Close, whatever other processes
// do.
type Installed struct {
	*Package
	dir  string
	hold *hold
	once sync.Once
}

// Dir is the absolute path of the folder with the package's files and manifest.json. All
// are read-only and must not be changed. Scripts and ELF files are executable.
func (i *Installed) Dir() string { return i.dir }

// ModulePath is the absolute path of the code. It is valid until Close.
func (i *Installed) ModulePath() string {
	return filepath.Join(i.dir, filepath.FromSlash(i.manifest.Module))
}

// Close ends the use of the package, which may then be evicted.
func (i *Installed) Close() error {
	i.once.Do(func() {
		i.hold.touch()
		i.hold.close()
	})
	return nil
}

// openInstalled opens and verifies an extracted package.
func openInstalled(dir string) (*Package, error) {
	data, err := readManifest(filepath.Join(dir, manifestFile), unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	m, err := parseCanonical(data)
	if err != nil {
		return nil, err
	}
	files, err := folderFiles(dir)
	if err != nil {
		return nil, err
	}
	return newPackage(m, files)
}

// extract writes the files of an archive to a folder, which must be empty.
func (c *Cache) extract(in io.Reader, dir string, wanted Digest) (*Package, error) {
	r, err := newReader(in, c.max)
	if err != nil {
		return nil, err
	}
	p := &Package{manifest: r.manifest}
	buf := make([]byte, 128<<10)
	if err := writeFile(filepath.Join(dir, manifestFile), bytes.NewReader(r.manifest.JSON()), buf); err != nil {
		return nil, c.wrong(err)
	}
	if err := r.each(func(name string, size int64) error {
		path := filepath.Join(dir, filepath.FromSlash(name))
		err := makeFolders(dir, filepath.Dir(filepath.FromSlash(name)))
		if err == nil {
			err = writeFile(path, r, buf)
		}
		if err != nil {
			return c.wrong(err)
		}
		p.files = append(p.files, file{name: name, size: size})
		return nil
	}); err != nil {
		return nil, err
	}
	p.digest, p.size = r.digest(), r.position
	return p, p.digest.check(wanted)
}

// makeFolders makes a folder below dir. Users that cannot enter the cache can be given what is
// in it, so others may read it, whatever the umask says.
func makeFolders(dir, name string) error {
	for _, part := range strings.Split(name, string(filepath.Separator)) {
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// writeFile makes a read-only file, which can be executed if it looks like a program.
func writeFile(path string, r io.Reader, buf []byte) error {
	var head [max(len(magicELF), len(magicScript))]byte
	n, err := io.ReadFull(r, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	mode := os.FileMode(0o444)
	if start := string(head[:n]); strings.HasPrefix(start, magicELF) || strings.HasPrefix(start, magicScript) {
		mode = 0o555
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, io.MultiReader(bytes.NewReader(head[:n]), r), buf)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// in makes the files of a package those in a folder.
func (p *Package) in(dir string) {
	for i := range p.files {
		path := filepath.Join(dir, filepath.FromSlash(p.files[i].name))
		p.files[i].open = func() (content, error) { return openRegular(path, unix.O_NOFOLLOW) }
	}
}

// diskBytes is the total size of a package's files and its manifest.
func (p *Package) diskBytes() int64 {
	n := int64(len(p.manifest.JSON()))
	for _, f := range p.files {
		n += f.size
	}
	return n
}
