package wasm

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
)

// maxLineBytes is where a longer line is broken.
const maxLineBytes = 4096

// output passes on what an instance writes: whole lines, up to a limit for each call. It
// counts the bytes beyond the limit.
type output struct {
	to       *sync.Mutex // serializes writes
	lost     *atomic.Uint64
	limit    int
	left     int // of this call
	out, err stream
}

// stream is the standard output or error of an instance.
type stream struct {
	*output
	w      io.Writer // nil: what is written is discarded
	line   []byte
	broken bool // w has failed, and is not used again
}

func (o *output) init(m *Module) {
	*o = output{to: &m.outputLck, lost: &m.lost, limit: m.config.OutputBytes, out: stream{o, m.config.Stdout, nil, false}, err: stream{o, m.config.Stderr, nil, false}}
	o.reset()
}

// reset starts a call.
func (o *output) reset() { o.left = o.limit }

// flush passes on what has no line feed yet.
func (o *output) flush() {
	o.out.flush()
	o.err.flush()
}

// Write implements io.Writer. It never fails.
func (s *stream) Write(p []byte) (int, error) {
	if s.w == nil {
		return len(p), nil
	}
	take := min(len(p), s.left)
	if lost := len(p) - take; lost > 0 {
		s.lost.Add(uint64(lost))
	}
	s.left -= take
	for rest := p[:take]; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		n := end
		if n == 0 {
			n = len(rest)
		}
		n = min(n, maxLineBytes-len(s.line))
		s.line = append(s.line, rest[:n]...)
		rest = rest[n:]
		if n == end || len(s.line) == maxLineBytes {
			s.flush()
		}
	}
	return len(p), nil
}

// flush passes on the current line, with a line feed.
func (s *stream) flush() {
	if len(s.line) == 0 {
		return
	}
	if s.line[len(s.line)-1] != '\n' {
		s.line = append(s.line, '\n')
	}
	if !s.broken {
		s.to.Lock()
		_, err := s.w.Write(s.line)
		s.to.Unlock()
		s.broken = err != nil
	}
	s.line = s.line[:0]
}
