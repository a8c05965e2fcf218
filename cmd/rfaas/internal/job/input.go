// Package job maps a function over inputs: it reads them, has workers call the
// function, retries what a lost worker left undone where that is allowed, and
// writes the results.
package job

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/local"
)

// Stdin is the name that stands for the standard input.
const Stdin = "-"

// Input is one thing to call the function with.
type Input struct {
	Name   string // as it was given
	Output string // path of the result; empty if it goes to the standard output
	Bytes  int64  // size when it was looked at

	turn int // its place among the inputs that are tried
	info os.FileInfo
	read []byte // content, of what cannot be opened again
	err  error  // why it cannot be tried
}

// look finds out how large an input is and whether it can be read. What cannot
// be read twice (the standard input, pipes) is read here, up to limit bytes.
func look(name string, stdin io.Reader, limit int64) *Input {
	in := &Input{Name: name}
	if name == Stdin {
		in.drain(stdin, limit)
		return in
	}
	f, err := os.Open(name)
	if err != nil {
		in.err = atomicfile.WithoutPath(err)
		return in
	}
	defer f.Close()
	if in.info, err = f.Stat(); err != nil {
		in.err = atomicfile.WithoutPath(err)
		return in
	}
	switch mode := in.info.Mode(); {
	case mode.IsDir():
		in.err = errors.New("is a directory; name the files in it")
	case mode.IsRegular():
		in.Bytes = in.info.Size()
	default:
		in.drain(f, limit)
	}
	return in
}

// drain reads an input that can be read once.
func (in *Input) drain(r io.Reader, limit int64) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		in.err = fmt.Errorf("reading: %w", atomicfile.WithoutPath(err))
		return
	}
	in.read, in.Bytes = content, int64(len(content))
	if in.read == nil {
		in.read = []byte{}
	}
}

// load reads the input into buf and returns its size.
func (in *Input) load(buf []byte) (n int, err error) {
	var from io.Reader = bytes.NewReader(in.read)
	if in.read == nil {
		f, err := os.Open(in.Name)
		if err != nil {
			return 0, atomicfile.WithoutPath(err)
		}
		defer f.Close()
		from = f
	}
	n, err = io.ReadFull(from, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading: %w", atomicfile.WithoutPath(err))
	}
	// buf is full: is that all?
	var one [1]byte
	if more, _ := io.ReadFull(from, one[:]); more > 0 {
		return 0, fmt.Errorf("too large: it has grown from %d to more than %d bytes since it was looked at; try again", in.Bytes, n)
	}
	return n, nil
}

// tooLarge is the error for an input that is longer than allowed.
func tooLarge(size, limit int64) error {
	if limit == local.MaxBytes {
		return fmt.Errorf("too large: %d bytes, a call takes at most %d", size, limit)
	}
	return fmt.Errorf("too large: %d bytes, at most %d are allowed; allow more with --slot-bytes", size, limit)
}

// base is the name of the input's result before the function's extension.
func (in *Input) base(extension string) string {
	name := filepath.Base(in.Name)
	if in.Name == Stdin {
		return "stdin" + extension
	}
	if extension == "" {
		return name
	}
	if own := filepath.Ext(name); own != name { // ".profile" is all name
		name = name[:len(name)-len(own)]
	}
	return name + extension
}
