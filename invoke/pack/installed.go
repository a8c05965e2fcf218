package pack

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Installed is a package of a cache. It is not evicted before Close, whatever
// happens to other processes.
type Installed struct {
	*Package
	dir  string
	hold *hold
	once sync.Once
}

// Dir is the absolute path of the folder with the package's files, manifest.json
// among them. All are read-only and must stay as they are.
func (i *Installed) Dir() string { return i.dir }

// ModulePath is the absolute path of the code. It is valid until Close.
func (i *Installed) ModulePath() string {
	return filepath.Join(i.dir, filepath.FromSlash(i.manifest.Module))
}

// Close ends the use of the package, which may be evicted then.
func (i *Installed) Close() error {
	i.once.Do(func() {
		i.hold.touch()
		i.hold.close()
	})
	return nil
}

// openInstalled opens and verifies a package that was extracted.
func openInstalled(dir string) (*Package, error) {
	data, err := readManifest(filepath.Join(dir, manifestFile), noFollow)
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

// extract writes what an archive has into a folder, which must be empty.
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
	for {
		name, size, err := r.next()
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, c.wrong(err)
		}
		if err := writeFile(path, r, buf); err != nil {
			return nil, c.wrong(err)
		}
		p.files = append(p.files, file{name: name, size: size})
	}
	p.digest, p.size = r.digest(), r.position
	return p, p.digest.check(wanted)
}

// writeFile makes a read-only file.
func writeFile(path string, r io.Reader, buf []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, r, buf)
	return errors.Join(err, f.Close())
}

// in makes a package's files those of a folder.
func (p *Package) in(dir string) {
	for i := range p.files {
		path := filepath.Join(dir, filepath.FromSlash(p.files[i].name))
		p.files[i].open = func() (content, error) { return openRegular(path, noFollow) }
	}
}

// diskBytes is what the files of a package have, the manifest included.
func (p *Package) diskBytes() int64 {
	n := int64(len(p.manifest.JSON()))
	for _, f := range p.files {
		n += f.size
	}
	return n
}
