package command

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/invoke"
)

// run is a call for which the program is started.
func (m *Module) run(ctx context.Context, in, out []byte) (int, error) {
	p := &process{stdin: -1}
	arguments, stdin := m.config.Arguments, -1
	defer shut(&stdin)
	switch {
	case m.config.inFile():
		name, err := m.store(in)
		if err != nil {
			return 0, m.wrong(err)
		}
		defer os.Remove(name)
		arguments = slices.Clone(arguments)
		for i := range arguments {
			arguments[i] = strings.ReplaceAll(arguments[i], placeholder, name)
		}
	case len(in) > 0:
		var err error
		if p.stdin, stdin, err = pipe(true); err != nil {
			return 0, m.wrong(err)
		}
		if len(in) > defaultPipeBytes {
			enlarge(p.stdin)
		}
		p.unsent = [][]byte{in}
		_ = m.send(p) // what fits is there before the program
	}
	runtime.LockOSThread() // until the program has ended
	defer runtime.UnlockOSThread()
	m.stderr.forget()
	child := stdin
	if child < 0 {
		child = m.null
	}
	if err := p.start(&m.config, arguments, child); err != nil {
		return 0, m.wrong(err)
	}
	m.guard.watch(p.pid)
	shut(&stdin)
	result := &stream{out: out}
	err := m.converse(ctx, p, result)
	if err != errExited {
		_, _ = m.end(p, nil)
		return 0, err
	}
	status, err := m.end(p, result)
	switch {
	case err != nil:
		return 0, err
	case status.Signaled():
		return 0, m.crashed(invoke.StartedYes, "was ended by "+fate(status))
	case status.ExitStatus() != 0:
		message := m.stderr.last()
		if message == "" {
			message = fate(status)
		}
		return 0, &invoke.FunctionError{Code: uint32(status.ExitStatus()), Message: message}
	}
	return result.n, nil
}

// wrong is an error before the program ran.
func (m *Module) wrong(err error) error { return fmt.Errorf("command: %s: %w", m.config.Name, err) }

// store makes a file with the input.
func (m *Module) store(in []byte) (name string, err error) {
	f, err := os.CreateTemp(m.config.TempDirectory, "input-")
	if err != nil {
		return "", err
	}
	_, err = f.Write(in)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

// stream is a result that ends with the program.
type stream struct {
	out []byte
	n   int
}

func (s *stream) read(fd int) error {
	room := s.out[s.n:]
	var extra [1]byte
	if len(room) == 0 {
		room = extra[:]
	}
	n, err := read(fd, room)
	if n > 0 && s.n == len(s.out) {
		return fmt.Errorf("command: the result is longer than the %d bytes that there is room for: %w", len(s.out), invoke.ErrTooLarge)
	}
	s.n += n
	if n == defaultPipeBytes { // it was full
		enlarge(fd)
	}
	return err
}
