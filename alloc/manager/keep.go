package manager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// leaveTimeout bounds the deregistration of an agent that ends, and the registration before
// it that is under way.
const leaveTimeout = 2 * time.Second

// Keep keeps a node registered until the context ends, and then deregisters it, as
// far as the manager can be reached. It renews as often as the manager asks, at once
// when something arrives on changed, and it asks a manager that is away until it is
// back. What node returns is sent each time; node is called by this goroutine only.
// changed may be nil; it should hold 1, so that its sender need not wait. Changes
// that come while a request is under way are sent with one more request.
//
// It returns nil when the context has ended, and an error if asking again would not
// help: the node fails its Check, the manager refuses it as such, or ErrLowerEpoch.
func (c *Client) Keep(ctx context.Context, node func() Node, changed <-chan struct{}) error {
	var b backoff
	manager := presence{client: c}
	asking, cancel := outlasting(ctx, leaveTimeout)
	defer cancel()
	defer c.registered.Store(false)
	for {
		n := node()
		if err := n.Check(); err != nil {
			return fmt.Errorf("manager: node %q: %w", clip(n.ID), err)
		}
		wait, err := c.Register(asking, n)
		if ctx.Err() != nil {
			c.leave(ctx, n)
			return nil
		}
		if a, ok := errors.AsType[*answered](err); ok && (a.status == http.StatusBadRequest || a.status == http.StatusConflict) {
			return err
		}
		news := changed
		if err != nil {
			wait, news = b.next(), nil // news do not shorten the wait for a manager that is away
		} else {
			b.reset()
		}
		manager.is(err)
		c.registered.Store(err == nil)
		if !until(ctx, wait, &news) {
			c.leave(ctx, n)
			return nil
		}
		if err == nil {
			changed = news
		}
	}
}

// outlasting is a context that ends a time after another has. A request that is given up may
// still be on its way: a registration would undo the deregistration that is sent after it.
func outlasting(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}

// until waits for a time or for news, whose channel becomes nil when it is closed,
// and reports whether the context has not ended meanwhile.
func until(ctx context.Context, d time.Duration, news *<-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case _, open := <-*news:
		if !open {
			*news = nil
		}
		return true
	case <-ctx.Done():
		return false
	}
}

// leave deregisters a node; if that fails it expires.
func (c *Client) leave(ctx context.Context, n Node) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := c.Deregister(ctx, n.ID, n.Epoch); err != nil && c.Logger != nil {
		c.Logger.Info("node could not be deregistered; it will expire", "node", n.ID, "error", err)
	}
}
