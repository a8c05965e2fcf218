package job

import (
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/local"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// process calls the function with an input and delivers the result. It reports
// whether the input was tried.
func (r *run) process(in *Input) (o Outcome, tried bool) {
	o = Outcome{Input: in, State: Failed}
	delivered := false
	result, err := r.crew.pool.CallInPlace(r.abort, r.cfg.Function, client.InPlace{
		InputBytes: r.cfg.InputBytes, ResultBytes: r.cfg.ResultBytes,
		Fill: func(memory []byte) (int, error) {
			if o.Attempts++; o.Attempts > 1 {
				r.cfg.Log.Warn("input is tried again", "input", in.Name, "attempt", o.Attempts)
			}
			n, err := in.load(memory)
			o.BytesIn = int64(n)
			return n, err
		},
		Take: func(result []byte) error {
			delivered = true
			o.BytesOut = int64(len(result))
			return r.deliver(in, result)
		},
	}, invoke.CallOptions{Timeout: r.cfg.Timeout})
	o.Call, o.Execution = result.Elapsed, result.Timing.Execution
	if !delivered {
		r.sink.skip(in)
	}
	switch {
	case err == nil:
		o.State = Done
	case errors.Is(err, client.ErrNoWorker) && o.Attempts == 0:
		return o, false
	default:
		o.Reason = r.reason(err)
	}
	return o, true
}

// reason is an error in words for the summary.
func (r *run) reason(err error) string {
	failed, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err.Error() // of delivery
	}
	tries := failed.Attempts
	loss, lost := errors.AsType[*alloc.LostError](failed.Err)
	e, answered := errors.AsType[*invoke.Error](failed.Err)
	switch {
	case r.abort.Err() != nil:
		return "interrupted"
	case lost && len(tries) < maxAttempts:
		return fmt.Sprintf("%s; not tried again, because %s is not declared idempotent", r.cfg.lossOf(loss), r.cfg.Function)
	case lost:
		return fmt.Sprintf("tried %d times, and its worker was lost each time: %s", len(tries), r.cfg.lossOf(loss))
	case answered && e.Status == invoke.StatusRevoked && e.Started == invoke.StartedYes && len(tries) < maxAttempts:
		return fmt.Sprintf("%s; not tried again, because %s is not declared idempotent", e.Message, r.cfg.Function)
	case answered:
		return r.cfg.describe(e)
	}
	return failed.Err.Error()
}

// lossOf is a lost worker in words for the summary.
func (c *Config) lossOf(e *alloc.LostError) string {
	if e.Process == 0 { // only its node knows that
		return fmt.Sprintf("a worker at node %s was lost: %s", e.Node, local.How(e, c.Bare))
	}
	return fmt.Sprintf("worker process %d was lost: %s", e.Process, local.How(e, c.Bare))
}

// describe is a failed call in words for the summary.
func (c *Config) describe(e *invoke.Error) string {
	switch e.Status {
	case invoke.StatusFunctionError:
		return e.Message
	case invoke.StatusTooLarge:
		return local.TooLarge(e, c.MoreRoom)
	case invoke.StatusDeadlineExceeded:
		return local.Late(e, c.Timeout, c.Bare)
	}
	return fmt.Sprintf("%v: %s", e.Status, e.Message)
}
