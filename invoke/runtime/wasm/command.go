package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero"
	wasi "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
	"github.com/rfaas-go/rfaas/invoke"
)

// execution is what one run of a command reads and writes. It has the memory of its caller
// only while that waits.
type execution struct {
	i      *instance
	in     []byte // what is not read yet
	out    []byte
	length int    // of the result, also of what has no room
	tail   []byte // the last of what it wrote to its standard error
}

// command is the function of a command: a call is a run, in an instance of its own.
func (m *Module) command(ctx context.Context, in, out []byte) (int, error) {
	i, err := m.acquire(ctx)
	if err != nil {
		return 0, err
	}
	return i.execute(ctx, in, out)
}

// execute runs a command and discards the instance.
func (i *instance) execute(ctx context.Context, in, out []byte) (int, error) {
	e := &i.execution
	e.in, e.out = in, out
	i.output.reset()
	i.limit = i.m.config.TimeLimit
	start := i.instantiated.ExportedFunction(wasmfile.CommandExport)
	i.enter(ctx)
	err := start.CallWithStack(i.within, i.stack[:])
	fate := i.leave()
	length := e.length
	e.in, e.out = nil, nil
	i.m.discard(i)
	exit := (*sys.ExitError)(nil)
	switch {
	case fate != nil:
		return 0, fate
	case err == nil:
		return length, nil
	case !errors.As(err, &exit):
		return 0, crashed(wasmfile.CommandExport, err)
	case exit.ExitCode() != 0:
		return 0, e.failed(exit.ExitCode())
	}
	return length, nil
}

// failed is the error of a command that ended with another status than 0.
func (e *execution) failed(status uint32) error {
	message := strings.TrimSpace(tailText(e.tail))
	if message == "" {
		message = fmt.Sprintf("exit status %d", status)
	}
	return &invoke.FunctionError{Code: status, Message: message}
}

// tailText is the tail as text of at most messageBytes. Its first rune may be cut off.
func tailText(tail []byte) string {
	for n := 0; n < utf8.UTFMax-1 && len(tail) == messageBytes && !utf8.RuneStart(tail[0]); n++ {
		tail = tail[1:]
	}
	return strings.ToValidUTF8(string(tail), "?") // not longer, as utf8.RuneError would be
}

// connect gives a command its arguments and its three streams.
func (e *execution) connect(c wazero.ModuleConfig) wazero.ModuleConfig {
	return c.WithArgs(e.i.m.config.Name).WithStdin(e).WithStdout(result{e}).WithStderr(complaint{e})
}

// Read implements io.Reader: the standard input.
func (e *execution) Read(p []byte) (int, error) {
	if e.i.isStopped() {
		return 0, wasi.EINTR
	}
	n := copy(p, e.in)
	e.in = e.in[n:]
	return n, nil // wazero takes 0 as the end
}

// result is the standard output. It counts what has no room.
type result struct{ *execution }

// Write implements io.Writer.
func (r result) Write(p []byte) (int, error) {
	if r.i.isStopped() {
		return 0, wasi.EINTR
	}
	if r.length < len(r.out) {
		copy(r.out[r.length:], p)
	}
	r.length += len(p)
	return len(p), nil
}

// complaint is the standard error. It goes to the module's output; the last of it is the
// message of a command that fails.
type complaint struct{ *execution }

// Write implements io.Writer.
func (c complaint) Write(p []byte) (int, error) {
	if c.i.isStopped() {
		return 0, wasi.EINTR
	}
	last := p[max(0, len(p)-messageBytes):]
	if more := len(c.tail) + len(last) - messageBytes; more > 0 {
		c.tail = c.tail[:copy(c.tail, c.tail[more:])]
	}
	c.tail = append(c.tail, last...)
	return c.i.output.err.Write(p)
}
