package client

import (
	"context"
	"maps"

	"github.com/rfaas-go/rfaas/invoke"
)

// Hook observes calls: see packages invoke/tracing and invoke/metrics. It is called when a
// call begins, on its caller's goroutine, with the caller's context. The function that it
// returns, if not nil, is called once when the call has ended, before its caller is
// notified, from any goroutine: it must not wait, nor keep the Output.
type Hook func(ctx context.Context, c *CallInfo) (ended func(Result, error))

// CallInfo is what a Hook is given of a call that begins.
type CallInfo struct {
	Function   string
	InputBytes int // at most, for CallInPlace
	// Metadata is what goes with the call, in all of its attempts. A hook may change it:
	// it is a copy of the caller's, and not nil.
	Metadata invoke.Metadata
}

// begin calls the hooks.
func (cl *Client) begin(ctx context.Context, c *call) {
	if len(cl.cfg.Hooks) == 0 {
		return
	}
	b := &CallInfo{Function: c.function, InputBytes: len(c.in), Metadata: maps.Clone(c.metadata)}
	if c.place != nil {
		b.InputBytes = c.place.InputBytes
	}
	if b.Metadata == nil {
		b.Metadata = invoke.Metadata{}
	}
	for _, hook := range cl.cfg.Hooks {
		if ended := hook(ctx, b); ended != nil {
			c.ended = append(c.ended, ended)
		}
	}
	c.metadata = b.Metadata
}

// tell calls what the hooks returned, the last one first.
func (c *call) tell() {
	r, err := c.outcome()
	for i := len(c.ended) - 1; i >= 0; i-- {
		c.ended[i](r, err)
	}
}
