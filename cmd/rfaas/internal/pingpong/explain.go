package pingpong

import (
	"context"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// problem is an error that says how far the game got.
func (g *game) problem(format string, args ...any) error {
	return fmt.Errorf("after %d of %d iterations: %w", min(g.sent, g.received), g.cfg.Iterations, fmt.Errorf(format, args...))
}

// whyEnded says why waiting for a completion ended without one.
func (g *game) whyEnded(ctx context.Context, err error) error {
	switch context.Cause(ctx) {
	case nil:
		return g.problem("cannot wait: %w", err)
	case errSilence:
		if g.pending&pendingSend != 0 {
			return g.problem("nothing came from the peer for --timeout %v, and it did not acknowledge the last message", g.cfg.Timeout)
		}
		return g.problem("nothing came from the peer for --timeout %v: it ended, or it was told fewer --iters", g.cfg.Timeout)
	case errEnded:
		// The completion that says why may have come meanwhile.
		for {
			var c [1]transport.Completion
			if n, err := g.queue.Poll(c[:]); n == 0 || err != nil {
				break
			}
			if c[0].Status != transport.StatusOK && c[0].Status != transport.StatusFlushed {
				return g.explain(&c[0])
			}
		}
		return g.ended()
	}
	return context.Cause(ctx)
}

// ended says what the end of the connection means. It may be known before the
// completion that it is due to has come.
func (g *game) ended() error {
	err := g.conn.Err()
	if e, ok := errors.AsType[*transport.StatusError](err); ok && e.Status != transport.StatusFlushed {
		return g.explain(&transport.Completion{Op: e.Op, ID: e.ID, Status: e.Status, Vendor: e.Vendor})
	}
	return g.problem("%w", err)
}

// explain says what a failed completion means in this game.
func (g *game) explain(c *transport.Completion) error {
	switch status := c.Status; {
	case status == transport.StatusLocalLength:
		return g.problem("the peer's message has more than %d bytes: use the same --size at both ends", g.cfg.Size)
	case status == transport.StatusLocalOperation && c.Op == transport.OpRecv: // rxe's word for it
		return g.problem("the peer's message cannot be received: use the same --size at both ends (%w)", c.Err())
	case status == transport.StatusRemoteInvalidRequest, status == transport.StatusRemoteOperation: // the latter is rxe's
		return g.problem("the peer refuses a message of %d bytes: use the same --size and --mtu at both ends", g.cfg.Size)
	case status == transport.StatusRetryExceeded:
		if g.received == 0 {
			return g.problem("the peer does not answer packets: is UDP port 4791 open at both ends, is --mtu %d not too much for the way there, and is the GID given to ibv_rc_pingpong (-g) one of RoCE v2?", g.cfg.MTU)
		}
		return g.problem("the peer does not answer any more: it ended, was told fewer --iters, or was cut off")
	case status == transport.StatusRNRRetryExceeded:
		return g.problem("the peer posts no more receives")
	case status == transport.StatusFlushed:
		if g.conn.Err() != nil {
			return g.ended()
		}
	}
	return g.problem("%w", c.Err())
}
