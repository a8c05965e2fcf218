package client

import (
	"context"

	"github.com/rfaas-go/rfaas/invoke"
)

// Start is Call for programs with an event loop of their own: it returns without waiting, and
// ended is called once, when the call has. in and out are in use until then. ended gets what
// Call returns; it is called by a goroutine of the client or by one that cancels or closes, maybe
// before Start returns, and must not wait. If Start fails it is not called. Start never
// waits for room: if the queue is full it fails with ErrFull.
//
// cancel gives the call up, which ends it soon, and does nothing once it has ended. It may be called from
// anywhere.
func (cl *Client) Start(ctx context.Context, function string, in, out []byte, ended func(Result, error), options ...invoke.CallOptions) (cancel func(), err error) {
	c := &call{ctx: ctx, function: function, in: in, out: out, room: len(out), notify: ended}
	c.apply(options)
	cl.begin(ctx, c)
	if ctx.Done() != nil {
		cancel = cl.bind(ctx, c)
	} else {
		cancel = func() { cl.cancel(c, context.Canceled) }
	}
	if err := cl.enter(c, true); err != nil {
		if c.cleanup != nil {
			c.cleanup()
		}
		return nil, err
	}
	return cancel, nil
}
