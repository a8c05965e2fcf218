package command

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
)

// Module is a program to call. It runs one call at a time: a call during another one is
// refused with an error that wraps [invoke.ErrBusy].
type Module struct {
	state    atomic.Uint32
	released chan struct{} // closed when nothing is left
	config   Config
	bell     *bell // rings when a call may have to end
	null     int   // /dev/null
	guard    guard
	stderr   stderr
	warm     *process // nil: not started, or it has ended
}

// The states of a module.
const (
	idle uint32 = iota
	running
	closing // a call runs, which is to end
	closed
)

// Open checks a program, and starts it if it is a warm one.
func Open(config Config) (*Module, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	m := &Module{config: config, released: make(chan struct{}), stderr: stderr{to: config.Stderr}}
	if m.null, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("command: /dev/null: %w", err)
	}
	m.guard = newGuard(m.null)
	if m.bell, err = newBell(); err == nil && config.Warm {
		if err = m.startWarm(); err != nil {
			m.bell.close()
		}
	}
	if err != nil {
		m.guard.close()
		shut(&m.null)
		return nil, err
	}
	return m, nil
}

// Function makes the program callable by the name of the module, until Close. A call is
// ended when its context does.
func (m *Module) Function(entry string) (invoke.Function, error) {
	if entry != m.config.Name {
		return nil, fmt.Errorf("command: there is no entry point %q; there is: %s", entry, m.config.Name)
	}
	return m.call, nil
}

func (m *Module) call(ctx context.Context, in, out []byte) (int, error) {
	if !m.state.CompareAndSwap(idle, running) {
		return 0, m.unavailable()
	}
	defer m.leave()
	if err := m.over(ctx); err != nil {
		return 0, err
	}
	if m.config.Warm {
		return m.ask(ctx, in, out)
	}
	return m.run(ctx, in, out)
}

func (m *Module) leave() {
	if !m.state.CompareAndSwap(running, idle) { // it is closing
		m.release()
	}
}

// unavailable is the error of a module that is not idle.
func (m *Module) unavailable() error {
	if m.state.Load() == running {
		return fmt.Errorf("command: %s runs one call at a time: open it once for each worker: %w", m.config.Name, invoke.ErrBusy)
	}
	return fmt.Errorf("command: %s is closed", m.config.Name)
}

// over returns why a call has to end, if it has to.
func (m *Module) over(ctx context.Context) error {
	if m.state.Load() == closing {
		return &invoke.Error{Status: invoke.StatusCanceled, Started: invoke.StartedYes, Message: "the program was ended because its module was closed"}
	}
	err := ctx.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return &invoke.Error{Status: invoke.StatusDeadlineExceeded, Started: invoke.StartedYes, Err: err,
			Message: "the program was ended because its call's deadline passed"}
	}
	return &invoke.Error{Status: invoke.StatusCanceled, Started: invoke.StartedYes, Err: err,
		Message: "the program was ended because its caller is gone or gave up"}
}

// Close ends what runs, and returns when nothing is left. A call under way is ended. A warm
// program has a second to end by itself. It may be called concurrently, and again.
func (m *Module) Close() error {
	for {
		switch s := m.state.Load(); {
		case s == idle && m.state.CompareAndSwap(idle, closed):
			m.release()
		case s == running && m.state.CompareAndSwap(running, closing):
			m.bell.ring()
		case s == closing || s == closed:
			<-m.released
			return nil
		}
	}
}

// release is called once.
func (m *Module) release() {
	m.state.Store(closed)
	if m.warm != nil {
		m.endWarm()
	}
	m.bell.close()
	m.guard.close()
	shut(&m.null)
	close(m.released)
}
