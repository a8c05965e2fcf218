package executor

import (
	"bytes"
	"io"
	"sync"

	"github.com/rfaas-go/rfaas/internal/visible"
)

// OutputLine is a line that an executor has printed. The function chooses the text: show it
// so that it cannot be mistaken for a line of your own program.
//
// Lines of one stream come in the order in which they were printed. So do those of both
// streams, but for lines that are printed at nearly the same time: each stream is a pipe, and
// nothing tells which of two was written first. Whatever a process has written comes before
// Executor.Ended, however it ended.
type OutputLine struct {
	Process  int    // the executor
	Function string // the first that the executor offers; empty before its assignment
	Stream   Stream
	Text     string // visible characters and tabs, without the line's end
}

// Stream is one of the two that a process prints to.
type Stream uint8

// The streams.
const (
	Stdout Stream = iota
	Stderr
)

// String is the name of the stream.
func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// maxOutputBytes is how much of what an executor prints is passed on. Each line counts
// lineBytes more, for what is shown with it.
const (
	maxOutputBytes = 1 << 20
	lineBytes      = 64
)

// output passes on what an executor prints, up to a limit for both streams together: whole lines of visible
// characters, so that a function cannot send commands to a terminal. The rest is read and
// dropped, so that the function does not block.
type output struct {
	to func(OutputLine)

	mu    sync.Mutex
	label OutputLine // without a text
	lines [2][]byte  // the unfinished ones, by stream
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

// stream is the writer of a stream.
func (o *output) stream(s Stream) io.Writer { return &outputStream{o, s} }

type outputStream struct {
	output *output
	stream Stream
}

// Write implements io.Writer. It never fails: what is beyond the limit is dropped.
func (s *outputStream) Write(p []byte) (int, error) {
	o, n := s.output, len(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	line := &o.lines[s.stream]
	for len(p) > 0 {
		if o.left <= 0 {
			o.extra += int64(len(p))
			break
		}
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			end = len(p)
		}
		end = min(end, maxLineBytes-len(*line), o.left)
		o.left -= end
		*line = append(*line, p[:end]...)
		p = p[end:]
		if (*line)[len(*line)-1] == '\n' || len(*line) == maxLineBytes {
			o.flush(s.stream)
		}
	}
	return n, nil
}

// flush passes the stream's line on. mu is held.
func (o *output) flush(s Stream) {
	line, said := o.label, o.lines[s]
	line.Stream = s
	line.Text = string(visible.Append(nil, bytes.TrimSuffix(bytes.TrimSuffix(said, []byte{'\n'}), []byte{'\r'})))
	o.to(line)
	o.lines[s] = said[:0]
	o.left -= lineBytes
}

// end passes the unfinished lines on, and returns how many bytes were dropped.
func (o *output) end() (lost int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s, line := range o.lines {
		if len(line) > 0 {
			o.flush(Stream(s))
		}
	}
	return o.extra
}
