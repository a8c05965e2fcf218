package client

import (
	"context"

	"github.com/rfaas-go/rfaas/invoke"
)

const startedNo = invoke.StartedNo

// Future is a call under way. Its methods may be called from anywhere. It need not be
// waited for.
type Future struct {
	call   *call
	cancel context.CancelFunc
}

// Go begins a call of a function and returns without waiting for the reply. in
// is copied. The context is the call's: when it ends, the call is given up. If
// the queue is full, Go waits for room, or fails with ErrFull if the options say so.
// A timeout of theirs is that of an attempt.
func (cl *Client) Go(ctx context.Context, function string, in []byte, options ...invoke.CallOptions) (*Future, error) {
	c := &call{function: function, in: append([]byte(nil), in...), fresh: true, done: make(chan struct{})}
	o := c.apply(options)
	cl.begin(ctx, c)
	f := &Future{call: c, cancel: cl.bind(ctx, c)}
	if !o.NoWait {
		c.admitted = make(chan struct{})
	}
	if err := cl.enter(c, o.NoWait); err != nil {
		c.cleanup()
		return nil, err
	}
	if !o.NoWait {
		select {
		case <-c.admitted:
		case <-c.done:
		}
	}
	return f, nil
}

// bind makes a call end with its context.
func (cl *Client) bind(ctx context.Context, c *call) context.CancelFunc {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { cl.cancel(c, ctx.Err()) })
	c.ctx, c.cleanup = ctx, func() { stop(); cancel() }
	return cancel
}

// Done is closed when the call is done.
func (f *Future) Done() <-chan struct{} { return f.call.done }

// Wait waits for the call and returns its result, which belongs to the
// caller. It may be called more than once. If the context ends first, the call is
// given up, as with invoke.Future. The errors are those of Client.Call.
func (f *Future) Wait(ctx context.Context) ([]byte, error) {
	select {
	case <-f.call.done:
	default:
		select {
		case <-f.call.done:
		case <-ctx.Done():
			f.Cancel()
			<-f.call.done
		}
	}
	return f.call.result, f.call.err
}

// Cancel gives the call up.
func (f *Future) Cancel() { f.cancel() }
