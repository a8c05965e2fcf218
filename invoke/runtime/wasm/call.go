package wasm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/rfaas-go/rfaas/invoke"
)

// take makes the caller the owner of an idle instance.
func (i *instance) take() bool {
	s := i.state.Load()
	return s&phaseMask == phaseIdle && i.state.CompareAndSwap(s, s+phaseOwned)
}

// enter makes the watchdog watch the call. The caller owns the instance.
func (i *instance) enter(ctx context.Context) {
	i.ctx = ctx
	i.state.Store(i.state.Load()&^phaseMask | phaseRunning)
	if i.m.dog.asleep.Load() {
		i.m.dog.wake()
	}
}

// leave ends what enter began; the caller still owns the instance. The error is why the
// watchdog killed the instance, if it did.
func (i *instance) leave() error {
	for {
		s := i.state.Load()
		switch s & phaseMask {
		case phaseKilled:
			return i.fate
		case phaseRunning:
			if i.state.CompareAndSwap(s, s&^phaseMask+callStep|phaseOwned) {
				return nil
			}
		}
		runtime.Gosched() // the watchdog is looking at the context
	}
}

// call runs an entry point and releases the instance.
func (i *instance) call(ctx context.Context, entry int, in, out []byte) (int, error) {
	if len(in) > i.inCap || len(out) > i.outCap || i.entries[entry] == nil {
		if err := i.ready(ctx, entry, len(in), len(out)); err != nil {
			return 0, err
		}
	}
	i.memory.Write(i.inAt, in)
	i.output.reset()
	i.limit = i.m.config.TimeLimit
	i.stack = [4]uint64{uint64(i.inAt), uint64(len(in)), uint64(i.outAt), uint64(len(out))}
	i.enter(ctx)
	if err := i.entries[entry].CallWithStack(i.within, i.stack[:]); err != nil {
		return 0, i.fail(entry, err)
	}
	n := int(int32(i.stack[0]))
	if n < 0 {
		return 0, i.report(entry, ^n)
	}
	if n <= len(out) {
		result, _ := i.memory.Read(i.outAt, uint32(n)) // memory never shrinks
		copy(out, result)
	}
	if len(i.output.out.line)+len(i.output.err.line) > 0 {
		i.output.flush()
	}
	return n, i.release()
}

// release makes the instance idle, or discards it.
func (i *instance) release() error {
	if !i.m.config.Fresh {
		if s := i.state.Load(); s&phaseMask == phaseRunning && i.state.CompareAndSwap(s, s-phaseRunning+callStep) {
			return nil
		}
	}
	err := i.leave()
	if err != nil || i.m.config.Fresh {
		i.m.discard(i)
		return err
	}
	i.state.Store(i.state.Load() &^ phaseMask)
	return nil
}

// ready makes the areas large enough and looks up the entry point. If that fails, the
// instance is released.
func (i *instance) ready(ctx context.Context, entry, in, out int) error {
	if i.entries[entry] == nil {
		i.entries[entry] = i.instantiated.ExportedFunction(i.m.entries[entry])
	}
	err := i.reserve(ctx, in, out)
	switch {
	case err == nil:
	case errors.Is(err, invoke.ErrTooLarge) && !i.m.config.Fresh:
		i.state.Store(i.state.Load() &^ phaseMask)
	default:
		i.m.discard(i)
	}
	return err
}

// fail ends a call that trapped or was killed.
func (i *instance) fail(entry int, err error) error {
	fate := i.leave()
	i.m.discard(i)
	if fate != nil {
		return fate
	}
	return crashed(i.m.entries[entry], err)
}

// report ends a call that returned an error, with a message of n bytes.
func (i *instance) report(entry, n int) error {
	message := ""
	if text, ok := i.memory.Read(i.outAt, uint32(min(n, i.outCap, messageBytes))); ok {
		message = strings.ToValidUTF8(string(text), string(utf8.RuneError))
	}
	if message == "" {
		message = fmt.Sprintf("%s returned an error without a message", i.m.entries[entry])
	}
	if err := i.release(); err != nil {
		return err
	}
	return errors.New(message)
}

// timeLimitExceeded is the error of a call that exceeded its time limit.
func (i *instance) timeLimitExceeded() error {
	return &invoke.Error{Status: invoke.StatusDeadlineExceeded, Started: invoke.StartedYes,
		Message: fmt.Sprintf("the function ran longer than its time limit, %v, and was ended", i.limit)}
}

// contextEnded is the error of a call whose context has ended.
func contextEnded(err error) error {
	e := &invoke.Error{Status: invoke.StatusCanceled, Started: invoke.StartedYes, Err: err,
		Message: "the function was ended because its caller is gone or gave up"}
	if errors.Is(err, context.DeadlineExceeded) {
		e.Status, e.Message = invoke.StatusDeadlineExceeded, "the function was ended because its call's deadline passed"
	}
	return e
}
