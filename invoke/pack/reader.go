package pack

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// reader reads an archive from beginning to end and checks all of it.
type reader struct {
	in       *bufio.Reader
	hash     hash.Hash
	position int64
	most     int64 // bytes allowed in the archive
	manifest Manifest
	order    order
	name     string // of the current file
	left     int64  // bytes left of its content
	pad      int64  // zeros after the content
	ended    bool
}

var errNoPackage = errors.New("it does not begin with " + manifestFile + ": this is not a package")

// newReader starts to read an archive of at most so many bytes: it reads the manifest.
func newReader(in io.Reader, most int64) (*reader, error) {
	r := &reader{in: bufio.NewReaderSize(in, 64<<10), hash: sha256.New(), most: min(most, maxArchiveBytes)}
	// A short file of another kind should not be reported as cut off.
	if start, _ := r.in.Peek(len(manifestFile)); !strings.HasPrefix(manifestFile, string(start)) {
		return nil, r.wrong(errNoPackage)
	}
	size, err := r.begin()
	if err != nil {
		return nil, err
	}
	if size > maxManifestBytes {
		return nil, r.wrong(fmt.Errorf("%s has %d bytes: must be at most %d", manifestFile, size, maxManifestBytes))
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	if r.manifest, err = parseCanonical(data); err != nil {
		return nil, err
	}
	return r, nil
}

// parseCanonical parses the manifest of an archive.
func parseCanonical(data []byte) (Manifest, error) {
	m, err := ParseManifest(data)
	if err == nil && !bytes.Equal(m.JSON(), data) {
		err = errors.New("pack: manifest: it is not in canonical form, or incomplete: make packages with 'rfaas pack'")
	}
	return m, err
}

// each calls f with every file after the manifest. f may Read the content, which begins at
// r.position in the archive. A nil error means that the archive is complete, and nothing
// follows it.
func (r *reader) each(f func(name string, size int64) error) error {
	for {
		if _, err := io.Copy(io.Discard, r); err != nil { // the rest of the file before
			return err
		}
		size, err := r.begin()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = f(r.name, size)
		}
		if err != nil {
			return err
		}
	}
}

// begin reads a header, and returns io.EOF at the end of a complete archive.
func (r *reader) begin() (size int64, err error) {
	if r.ended {
		return 0, io.EOF
	}
	if err := r.skipPadding(); err != nil {
		return 0, err
	}
	var b block
	if err := r.full(b[:]); err != nil {
		return 0, err
	}
	if b == zeros {
		return 0, r.end()
	}
	name, size, err := parseHeader(&b)
	if err == nil {
		err = r.order.next(name)
	}
	if err == nil && r.position+archiveBytes(size)-blockBytes+endBytes > r.most {
		err = fmt.Errorf("%q has %d bytes, which makes the package larger than %d bytes", name, size, r.most)
	}
	if err != nil {
		return 0, r.wrong(err)
	}
	r.name, r.left, r.pad = name, size, padding(size)
	return size, nil
}

// end checks that the archive ends here.
func (r *reader) end() error {
	var b block
	if err := r.full(b[:]); err != nil {
		return err
	}
	if b != zeros {
		return r.wrong(errors.New("data follows the end: it is damaged"))
	}
	if !r.order.taken[r.manifest.Module] {
		return r.wrong(fmt.Errorf("the module %q of the manifest is missing", r.manifest.Module))
	}
	switch _, err := r.in.ReadByte(); {
	case err == nil:
		return r.wrong(errors.New("data follows the end: cut it off if you trust it, or fetch the package again"))
	case err != io.EOF:
		return r.wrong(err)
	}
	r.ended = true
	return io.EOF
}

// digest is that of the archive, after its end was read.
func (r *reader) digest() Digest { return Digest(r.hash.Sum(nil)) }

// Read implements io.Reader for the content of the current file.
func (r *reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.in.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	r.took(p[:n])
	if err != nil {
		err = r.early(err)
	}
	return n, err
}

func (r *reader) skipPadding() error {
	var b block
	pad := b[:r.pad]
	r.pad = 0
	if err := r.full(pad); err != nil {
		return err
	}
	if b != zeros {
		return r.wrong(fmt.Errorf("the padding of %q is not zero: it is damaged", r.name))
	}
	return nil
}

// full fills p.
func (r *reader) full(p []byte) error {
	n, err := io.ReadFull(r.in, p)
	r.took(p[:n])
	if err != nil {
		return r.early(err)
	}
	return nil
}

func (r *reader) took(p []byte) {
	r.hash.Write(p)
	r.position += int64(len(p))
}

// early is the error of a read that failed.
func (r *reader) early(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return r.wrong(fmt.Errorf("it is cut off: fetch it again: %w", io.ErrUnexpectedEOF))
	}
	return r.wrong(err)
}

func (r *reader) wrong(err error) error {
	return fmt.Errorf("pack: archive, byte %d: %w", r.position, err)
}
