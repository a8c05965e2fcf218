package pack

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// file is one of the files of a package, without the manifest.
type file struct {
	name string
	size int64
	open func() (content, error)
}

// content is an open file of a package.
type content interface {
	io.Reader
	io.ReaderAt
	io.Closer
}

// errChanged means that a file has changed since the package was opened.
var errChanged = errors.New("it was changed while the package was in use: open it again")

// archiveSize is the size of the archive of a manifest and files.
func archiveSize(manifest []byte, files []file) int64 {
	n := archiveBytes(int64(len(manifest))) + endBytes
	for _, f := range files {
		n += archiveBytes(f.size)
	}
	return n
}

// writeArchive writes the archive of a manifest and sorted files.
func writeArchive(to io.Writer, manifest []byte, files []file) (Digest, int64, error) {
	var o order
	if err := o.next(manifestFile); err != nil {
		return Digest{}, 0, err
	}
	hash := sha256.New()
	w := &counter{to: io.MultiWriter(hash, to)}
	w.Write(header(manifestFile, int64(len(manifest)))[:])
	w.Write(manifest)
	w.Write(zeros[:padding(int64(len(manifest)))])
	buf := make([]byte, 128<<10)
	for _, f := range files {
		if err := o.next(f.name); err != nil {
			return Digest{}, w.n, fmt.Errorf("pack: %w", err)
		}
		w.Write(header(f.name, f.size)[:])
		if err := w.file(f, buf); err != nil {
			return Digest{}, w.n, err
		}
		w.Write(zeros[:padding(f.size)])
	}
	w.Write(zeros[:])
	w.Write(zeros[:])
	return Digest(hash.Sum(nil)), w.n, w.err
}

// counter counts the bytes written, and keeps the first error.
type counter struct {
	to  io.Writer
	n   int64
	err error
}

func (w *counter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.to.Write(p)
	w.n += int64(n)
	w.err = err
	return n, err
}

// file writes the content of a file, whose size must not have changed.
func (w *counter) file(f file, buf []byte) error {
	if w.err != nil {
		return w.err
	}
	c, err := f.open()
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	defer c.Close()
	n, err := io.CopyBuffer(w, io.LimitReader(c, f.size), buf)
	if err != nil {
		return fmt.Errorf("pack: %s: %w", f.name, err)
	}
	if more, _ := c.Read(buf[:1]); n != f.size || more != 0 { // it shrank or grew
		return fmt.Errorf("pack: %s: %w", f.name, errChanged)
	}
	return nil
}
