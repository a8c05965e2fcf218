package client

import (
	"context"
	"maps"

	"github.com/rfaas-go/rfaas/invoke"
)

// Hook is told of calls: packages invoke/tracing and invoke/metrics have some. It is called
// when a call begins, on its caller's goroutine, with the caller's context. What it
// returns, if not nil, is called once when the call has ended, before its caller learns of
// that, from any goroutine of the client: it must not wait, nor keep the Output.
type Hook func(ctx context.Context, c *Beginning) (ended func(Result, error))

// Beginning is a call that begins.
type Beginning struct {
	Function   string
	InputBytes int // at most, for CallInPlace
	// Metadata is what goes with the call, in all of its attempts. A hook may change it:
	// it is a copy of the caller's, and not nil.
	Metadata invoke.Metadata
}

// begin tells the hooks of a call.
func (cl *Client) begin(ctx context.Context, c *call) {
	if len(cl.cfg.Hooks) == 0 {
		return
	}
	b := &Beginning{Function: c.function, InputBytes: len(c.in), Metadata: maps.Clone(c.metadata)}
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

// tell tells them of its end, the last one first.
func (c *call) tell() {
	r, err := c.outcome()
	for i := len(c.ended) - 1; i >= 0; i-- {
		c.ended[i](r, err)
	}
}
