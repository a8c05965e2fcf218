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
	to     *sync.Mutex // serializes writes to w
	w      io.Writer   // nil: output is discarded
	lost   *atomic.Uint64
	limit  int
	left   int // of this call
	line   []byte
	broken bool // w has failed, and is not used again
}

// reset starts a call.
func (o *output) reset() { o.left = o.limit }

// Write implements io.Writer. It never fails.
func (o *output) Write(p []byte) (int, error) {
	if o.w == nil {
		return len(p), nil
	}
	take := min(len(p), o.left)
	if lost := len(p) - take; lost > 0 {
		o.lost.Add(uint64(lost))
	}
	o.left -= take
	for rest := p[:take]; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		n := end
		if n == 0 {
			n = len(rest)
		}
		n = min(n, maxLineBytes-len(o.line))
		o.line = append(o.line, rest[:n]...)
		rest = rest[n:]
		if n == end || len(o.line) == maxLineBytes {
			o.flush()
		}
	}
	return len(p), nil
}

// flush passes on the current line, with a line feed.
func (o *output) flush() {
	if len(o.line) == 0 {
		return
	}
	if o.line[len(o.line)-1] != '\n' {
		o.line = append(o.line, '\n')
	}
	if !o.broken {
		o.to.Lock()
		_, err := o.w.Write(o.line)
		o.to.Unlock()
		o.broken = err != nil
	}
	o.line = o.line[:0]
}
