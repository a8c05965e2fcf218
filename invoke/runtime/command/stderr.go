package command

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	maxLineBytes = 4 << 10 // where a longer line is broken
	maxTailBytes = 1 << 10
)

// stderr passes on what a program writes to its standard error, in whole lines, and
// remembers the last of it.
type stderr struct {
	to   io.Writer // nil: it is discarded
	line []byte    // the unfinished one
	tail []byte
	cut  bool // tail is not all
	buf  [16 << 10]byte
}

// read does one read of the pipe.
func (s *stderr) read(fd int) error {
	n, err := read(fd, s.buf[:])
	s.take(s.buf[:n])
	return err
}

func (s *stderr) take(b []byte) {
	s.tail = append(s.tail, b...)
	if extra := len(s.tail) - maxTailBytes; extra > 0 {
		s.tail, s.cut = append(s.tail[:0], s.tail[extra:]...), true
	}
	for s.to != nil && len(b) > 0 {
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			n = len(b)
		}
		n = min(n, maxLineBytes-len(s.line))
		s.line = append(s.line, b[:n]...)
		b = b[n:]
		if s.line[len(s.line)-1] == '\n' || len(s.line) == maxLineBytes {
			s.flush()
		}
	}
}

// flush passes on a line, also if it is unfinished.
func (s *stderr) flush() {
	if len(s.line) == 0 {
		return
	}
	if s.line[len(s.line)-1] != '\n' {
		s.line = append(s.line, '\n')
	}
	_, _ = s.to.Write(s.line) // whose output it is does not matter to the program
	s.line = s.line[:0]
}

// forget begins a new tail.
func (s *stderr) forget() { s.tail, s.cut = s.tail[:0], false }

// last is the tail as text, maxTailBytes at most.
func (s *stderr) last() string {
	tail := s.tail
	for s.cut && len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(tail), "?"))
}
