package executor

import (
	"bytes"
	"sync"

	"github.com/rfaas-go/rfaas/internal/visible"
)

// OutputLine is a line that an executor has printed. The function chooses the text: show it
// so that it cannot be mistaken for a line of your own program.
type OutputLine struct {
	Process  int    // the executor
	Function string // the first that the executor offers; empty before its assignment
	Text     string // visible characters and tabs, without the line's end
}

// maxOutputBytes is how much of what an executor prints is passed on. Each line counts
// lineBytes more, for what is shown with it.
const (
	maxOutputBytes = 1 << 20
	lineBytes      = 64
)

// output passes on what an executor prints, up to a limit: whole lines of visible
// characters, so that a function cannot send commands to a terminal. The rest is read and
// dropped, so that the function does not block.
type output struct {
	to func(OutputLine)

	mu    sync.Mutex
	label OutputLine // without a text
	line  []byte     // the unfinished one
	left  int
	extra int64 // bytes lost
}

func newOutput(to func(OutputLine)) *output { return &output{to: to, left: maxOutputBytes} }

// maxLineBytes is where a longer line is broken.
const maxLineBytes = 4096

// start calls start, which returns the process, and holds its output back until then.
func (o *output) start(start func() (pid int)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.label.Process = start()
}

// offer sets the label to the first function.
func (o *output) offer(functions []Function) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(functions) > 0 {
		o.label.Function = visible.Text(functions[0].Name)
	}
}

// Write implements io.Writer. It never fails: what is beyond the limit is dropped.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		if o.left <= 0 {
			o.extra += int64(len(p))
			break
		}
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			end = len(p)
		}
		end = min(end, maxLineBytes-len(o.line), o.left)
		o.left -= end
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
	line := o.label
	line.Text = string(visible.Append(nil, bytes.TrimSuffix(bytes.TrimSuffix(o.line, []byte{'\n'}), []byte{'\r'})))
	o.to(line)
	o.line = o.line[:0]
	o.left -= lineBytes
}

// end passes the unfinished line on, and returns how many bytes were dropped.
func (o *output) end() (lost int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.line) > 0 {
		o.flush()
	}
	return o.extra
}
