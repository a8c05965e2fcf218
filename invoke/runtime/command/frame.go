package command

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
)

const (
	headerBytes     = 12       // of an answer
	maxMessageBytes = 64 << 10 // of an error's message
	maxResultBytes  = 1 << 40  // more is no result
)

var errEarly = errors.New("command: the program answered before it had read its whole call, and was killed: it has to read the input to its end")

var errTooLong = errors.New("the result is longer than the room for it")

// frame is an answer of a warm program.
type frame struct {
	out    []byte // for the result
	header [headerBytes]byte
	body   []byte // once the header is there: the result, in out, or the message
	n      int    // how much there is, with the header
	needed int    // the length of a result that is too long
}

func (f *frame) status() uint32 { return binary.LittleEndian.Uint32(f.header[:]) }

// read takes header and result with one read, if they are there.
func (f *frame) read(fd int) error {
	if f.n >= headerBytes {
		n, err := read(fd, f.body[f.n-headerBytes:])
		if n == defaultPipeBytes { // it was full
			enlarge(fd)
		}
		return f.took(n, err)
	}
	n, err := unix.Readv(fd, [][]byte{f.header[f.n:], f.out})
	switch {
	case err == unix.EINTR:
		return nil
	case err != nil:
		return err
	case n == 0:
		return io.EOF
	}
	if f.n+n < headerBytes {
		f.n += n
		return nil
	}
	if err := f.open(f.n + n - headerBytes); err != nil {
		return err
	}
	return f.took(n, nil)
}

func (f *frame) took(n int, err error) error {
	if f.n += n; err == nil && f.n == headerBytes+len(f.body) {
		return errAnswered
	}
	return err
}

// open reads the header; so many bytes that follow it are in out.
func (f *frame) open(there int) error {
	length := binary.LittleEndian.Uint64(f.header[4:])
	switch failed := f.status() != 0; {
	case failed && length > maxMessageBytes || length > maxResultBytes:
		return fmt.Errorf("command: the program answered with status %d and %d bytes, and was killed: this is not the protocol: a message has at most %d bytes; does it print to its standard output?",
			f.status(), length, maxMessageBytes)
	case uint64(there) > length:
		return fmt.Errorf("command: the program wrote %d bytes more than its answer, and was killed", uint64(there)-length)
	case failed:
		f.body = make([]byte, length)
		copy(f.body, f.out[:there])
	case length > uint64(len(f.out)):
		f.needed = int(length)
		return errTooLong
	default:
		f.body = f.out[:length]
	}
	return nil
}

// result is what a complete answer says.
func (f *frame) result() (int, error) {
	if f.status() == 0 {
		return len(f.body), nil
	}
	message := strings.ToValidUTF8(string(f.body), "?")
	if message == "" {
		message = "the program answered with an error without a message"
	}
	return 0, &invoke.FunctionError{Code: f.status(), Message: message}
}
