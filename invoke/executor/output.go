package executor

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/rfaas-go/rfaas/internal/visible"
)

// maxOutputBytes is how much of what an executor prints is passed on.
const maxOutputBytes = 1 << 20

// output passes on what an executor prints, up to a limit: in whole lines of visible
// characters, so that a function commands no terminal. What is beyond is taken and lost, so
// that nobody waits for a reader.
type output struct {
	to io.Writer

	mu    sync.Mutex
	line  []byte // without its end yet
	left  int
	extra int64 // bytes lost
}

func newOutput(to io.Writer) *output { return &output{to: to, left: maxOutputBytes} }

// maxLineBytes is where a line is passed on that has not ended.
const maxLineBytes = 4096

// Write implements io.Writer. It never fails: what the reader cannot take is lost.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(p)
	if take := min(n, o.left); take < n {
		o.extra += int64(n - take)
		p = p[:take]
	}
	o.left -= len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			end = len(p)
		}
		end = min(end, maxLineBytes-len(o.line))
		o.line = append(o.line, p[:end]...)
		p = p[end:]
		if o.line[len(o.line)-1] == '\n' || len(o.line) == maxLineBytes {
			o.flush()
		}
	}
	return n, nil
}

// flush passes the line on. mu is held.
func (o *output) flush() {
	text := bytes.TrimSuffix(bytes.TrimSuffix(o.line, []byte{'\n'}), []byte{'\r'})
	o.to.Write(append(visible.Append(nil, text), '\n'))
	o.line = o.line[:0]
}

// end passes the rest on, and tells how much was lost.
func (o *output) end(pid int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.line) > 0 {
		o.flush()
	}
	if o.extra > 0 {
		fmt.Fprintf(o.to, "executor (process %d) printed %d bytes more, which are lost\n", pid, o.extra)
	}
}
