package job

import (
	"errors"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/callee"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
)

// lane keeps one worker busy, and replaces it when it is lost.
type lane struct {
	job    *run
	core   int
	worker *callee.Callee // nil if there is none at the moment
	report WorkerReport
}

const (
	// maxAttempts bounds how many workers an input may cost.
	maxAttempts = 3
	// maxStarts bounds how many workers may fail in a row before they have begun
	// anything.
	maxStarts = 5
	// startPause is how long to wait after a failed start, times their number.
	startPause = 50 * time.Millisecond
	// endGrace is how long an executor may take to end by itself.
	endGrace = 2 * time.Second
)

// work takes inputs until there are no more, or no worker can be had.
func (l *lane) work() {
	defer l.rest()
	for l.job.source.more() {
		if err := l.staff(); err != nil {
			l.job.unstaffed(l, err)
			return
		}
		in := l.job.source.take()
		if in == nil {
			return
		}
		l.job.note(l.process(in))
	}
}

// rest ends the lane's worker.
func (l *lane) rest() {
	switch {
	case l.worker == nil:
	case l.job.abort.Err() != nil:
		l.dismiss()
	default:
		l.worker.End(endGrace)
	}
}

// staff makes sure that there is a worker.
func (l *lane) staff() (err error) {
	if l.worker != nil {
		return nil
	}
	for failures := 0; l.worker == nil; failures++ {
		if failures == maxStarts {
			return fmt.Errorf("worker %d: %d starts failed in a row, the last one: %w", l.report.Number, failures, err)
		}
		if failures > 0 {
			l.job.cfg.Log.Warn("worker failed to start", "worker", l.report.Number, "reason", err)
			select {
			case <-time.After(time.Duration(failures) * startPause):
			case <-l.job.abort.Done():
			}
		}
		if l.job.abort.Err() != nil {
			return errInterrupted
		}
		l.worker, err = l.job.cfg.hire(l.job.abort, l.core)
	}
	if l.report.PID != 0 {
		l.report.Replaced++
	}
	e := l.worker.Executor
	l.report.PID = e.PID()
	l.job.cfg.Log.Info("worker started", "worker", l.report.Number, "process", e.PID(), "core", coreName(e.Core()))
	return nil
}

// errInterrupted is the reason of what was given up because abort ended.
var errInterrupted = errors.New("interrupted")

// process calls the function with an input, again if that is allowed and needed.
func (l *lane) process(in *Input) Outcome {
	o := Outcome{Input: in, State: Failed}
	for unsent := 0; ; {
		err := l.staff()
		if err == nil {
			err = l.try(in, &o)
		}
		if err == nil {
			o.State = Done
			return o
		}
		loss, lost := errors.AsType[*lossError](err)
		switch {
		case lost && loss.unsent && unsent < maxStarts && l.job.abort.Err() == nil:
			unsent++ // the input has nothing to do with it
			o.Attempts--
		case lost && loss.repeatable && o.Attempts < maxAttempts && l.job.abort.Err() == nil:
			l.job.cfg.Log.Warn("input is tried again", "input", in.Name, "attempt", o.Attempts+1, "because", loss)
		default:
			o.Reason = l.reason(err, o.Attempts)
			if !o.delivered {
				l.job.sink.skip(in)
			}
			return o
		}
	}
}

// reason is an error in words for the summary.
func (l *lane) reason(err error, attempts int) string {
	loss, lost := errors.AsType[*lossError](err)
	switch {
	case !lost:
		return err.Error()
	case l.job.abort.Err() != nil:
		return errInterrupted.Error()
	case !loss.repeatable:
		return fmt.Sprintf("%v; not tried again, because %s is not declared idempotent", loss, l.job.cfg.Function)
	}
	return fmt.Sprintf("tried %d times, and its worker was lost each time: %v", attempts, loss)
}

// lossError says that a worker was lost during a call.
type lossError struct {
	pid        int
	how        error
	repeatable bool // the call may be made again
	unsent     bool // the call was not even made
}

func (e *lossError) Error() string {
	return fmt.Sprintf("worker process %d was lost: %v", e.pid, e.how)
}

// try calls the function once and delivers the result. After a *lossError, and
// whenever the state of the worker is not known, there is no worker.
func (l *lane) try(in *Input, o *Outcome) error {
	w := l.worker
	o.Attempts++
	n, err := in.load(w.Input())
	if err != nil {
		return err
	}
	o.BytesIn = int64(n)
	result, t, err := w.Call(l.job.abort, n, l.job.cfg.Timeout)
	if err != nil {
		return l.failed(w, t, err)
	}
	l.report.Calls++
	l.report.Busy += t.Execution
	o.Call, o.Execution, o.BytesOut = t.Call, t.Execution, int64(len(result))
	o.delivered = true
	return l.job.deliver(in, result)
}

// failed handles a failed call: it says what went wrong, and gives up workers of
// which it is not known what they do.
func (l *lane) failed(w *callee.Callee, t callee.Timing, err error) error {
	if gone, ok := errors.AsType[*invoke.GoneError](err); ok {
		how := w.Explain(gone.Err)
		l.dismiss()
		unsent := gone.Started == invoke.StartedNo
		return &lossError{pid: w.Executor.PID(), how: how, repeatable: unsent || w.Idempotent(), unsent: unsent}
	}
	e, ok := errors.AsType[*invoke.Error](err)
	if !ok {
		l.dismiss()
		return err
	}
	switch {
	case e.Started == invoke.StartedUnknown: // the caller gave up, the function goes on
		l.dismiss()
	case e.Started == invoke.StartedYes:
		l.report.Calls++
		l.report.Busy += t.Execution
	}
	if e.Status == invoke.StatusCanceled && l.job.abort.Err() != nil {
		return errInterrupted
	}
	return l.job.cfg.describe(e)
}

// dismiss ends the worker at once.
func (l *lane) dismiss() {
	l.worker.End(0)
	l.worker = nil
}

// describe is a failed call in words for the summary.
func (c *Config) describe(e *invoke.Error) error {
	switch e.Status {
	case invoke.StatusFunctionError:
		return errors.New(e.Message)
	case invoke.StatusTooLarge:
		return errors.New(callee.TooLarge(e, c.MoreRoom))
	case invoke.StatusDeadlineExceeded:
		return fmt.Errorf("not done within %v; allow more time with --timeout", c.Timeout)
	}
	return fmt.Errorf("%v: %s", e.Status, e.Message)
}

func coreName(core int) string {
	if core == executor.AnyCore {
		return "any"
	}
	return fmt.Sprint(core)
}
