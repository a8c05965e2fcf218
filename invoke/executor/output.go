package executor

import (
	"bytes"
	"sync"

	"github.com/rfaas-go/rfaas/internal/visible"
)

// OutputLine is a line that an executor has printed. What it says is the function's to
// choose: show it so that it is not taken for a line of your program's own.
type OutputLine struct {
	Process  int    // the executor
	Function string // the first that the executor offers; empty as long as it offers none
	Text     string // visible characters and tabs, without the line's end
}

// maxOutputBytes is how much of what an executor prints is passed on. Each line counts as
// lineBytes more, for what is shown with it: empty ones are not for free.
const (
	maxOutputBytes = 1 << 20
	lineBytes      = 64
)

// output passes on what an executor prints, up to a limit: in whole lines of visible
// characters, so that a function commands no terminal. What is beyond is taken and lost, so
// that nobody waits for a reader.
type output struct {
	to func(OutputLine)

	mu    sync.Mutex
	label OutputLine // without a text
	line  []byte     // without its end yet
	left  int
	extra int64 // bytes lost
}

func newOutput(to func(OutputLine)) *output { return &output{to: to, left: maxOutputBytes} }

// maxLineBytes is where a line is passed on that has not ended.
const maxLineBytes = 4096

// start says which process prints, once it has started. What it prints waits until then.
func (o *output) start(start func() (pid int)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.label.Process = start()
}

// offer says what the executor is for.
func (o *output) offer(functions []Function) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(functions) > 0 {
		o.label.Function = visible.Text(functions[0].Name)
	}
}

// Write implements io.Writer. It never fails: what the reader cannot take is lost.
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

// end passes the rest on, and says how many bytes were lost.
func (o *output) end() (lost int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.line) > 0 {
		o.flush()
	}
	return o.extra
}
