package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/local"
)

// invokeInput is the input of a call.
type invokeInput struct {
	name  string // for errors
	from  io.ReadSeeker
	bytes int64 // that it has
	file  *os.File
}

// openInput finds out how long the input is. What cannot be read twice, or has no
// length, is read here.
func (f *invokeFlags) openInput(stdin io.Reader) (*invokeInput, error) {
	in, err := f.findInput(stdin)
	if err != nil {
		return nil, err
	}
	if most := mostInput(f.slotBytes); in.bytes > most {
		in.close()
		return nil, in.tooLong(most)
	}
	return in, nil
}

func (f *invokeFlags) findInput(stdin io.Reader) (*invokeInput, error) {
	switch f.input {
	case "":
		return &invokeInput{name: "--data", from: strings.NewReader(f.data), bytes: int64(len(f.data))}, nil
	case standardStream:
		return f.drain("the standard input", stdin)
	}
	file, err := os.Open(f.input)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%s: is a directory; name a file", f.input)
	case info.Mode().IsRegular() && info.Size() > 0: // files of /proc say 0
		return &invokeInput{name: f.input, from: file, bytes: info.Size(), file: file}, nil
	default:
		in, err := f.drain(f.input, file)
		file.Close()
		return in, err
	}
	file.Close()
	return nil, err
}

// hasMore reports whether there is something to be read: in a file, or in a pipe at this time.
func hasMore(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return false
	case info.Mode().IsRegular():
		at, err := f.Seek(0, io.SeekCurrent)
		return err == nil && at < info.Size()
	case info.Mode().Type() == os.ModeNamedPipe:
		n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ) // which is FIONREAD
		return err == nil && n > 0
	}
	return false
}

// drain reads what has no length, up to one byte more than is allowed.
func (f *invokeFlags) drain(name string, r io.Reader) (*invokeInput, error) {
	content, err := io.ReadAll(io.LimitReader(r, mostInput(f.slotBytes)+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, atomicfile.WithoutPath(err))
	}
	return &invokeInput{name: name, from: bytes.NewReader(content), bytes: int64(len(content))}, nil
}

func (in *invokeInput) tooLong(most int64) error {
	size := byteSize(most)
	if most == local.MaxBytes {
		return fmt.Errorf("%s: too large: more than %s, which is the most that a call takes", in.name, size.String())
	}
	return fmt.Errorf("%s: too large: more than %s; allow more with --slot-bytes", in.name, size.String())
}

// load reads the input, which fills buf.
func (in *invokeInput) load(buf []byte) error {
	_, err := in.from.Seek(0, io.SeekStart)
	if err == nil {
		_, err = io.ReadFull(in.from, buf)
	}
	if err == nil && in.file != nil {
		if n, _ := in.file.Read(make([]byte, 1)); n > 0 {
			err = errors.New("it has grown since it was looked at; try again")
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it has shrunk since it was looked at; try again")
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", in.name, atomicfile.WithoutPath(err))
	}
	return nil
}

func (in *invokeInput) close() {
	if in.file != nil {
		in.file.Close()
	}
}
