package softroce

import (
	"context"
	"math/bits"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/transport"
)

// completionQueue is a ring: whoever has the engine's turn pushes, the program
// pops. The front sees to it that it never gets full.
type completionQueue struct {
	engine  *engine
	entries []completion
	mask    uint32
	wake    chan struct{} // of one element; holds one when a sleeper is to be woken
	ended   chan struct{} // closed by Close
	closed  bool          // by whoever has the engine's turn

	_     [64]byte
	tail  atomic.Uint32 // pushed
	armed atomic.Uint32 // what a sleeper wants to be woken by

	_    [64]byte
	head uint32 // popped
	_    [64]byte
}

// completion is a completion with what polling it sets free.
type completion struct {
	transport.Completion
	pair   *queuePair
	places uint32 // of the send queue; 0: it was a receive
}

// What completionQueue.armed says.
const (
	notArmed = iota
	armedForAny
	armedForSolicited // or failed
)

// NewCQ implements transport.Adapter.
func (a *Adapter) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	a.open.Add(1)
	size := 1 << bits.Len32(max(cfg.Depth, 1)-1)
	return &completionQueue{
		engine: a.engine, entries: make([]completion, size), mask: uint32(size - 1),
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}, nil
}

// push adds a completion and wakes who waits for it. By whoever has the engine's
// turn.
func (c *completionQueue) push(e completion, solicited bool) {
	if c.closed { // the front drops the completions of a closed queue
		e.polled()
		return
	}
	tail := c.tail.Load()
	c.entries[tail&c.mask] = e
	c.tail.Store(tail + 1) // before the look at armed: a full barrier
	if a := c.armed.Load(); a != notArmed && (a == armedForAny || solicited || e.Status != transport.StatusOK) {
		c.armed.Store(notArmed)
		c.ring()
	}
}

func (c *completionQueue) ring() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// pop moves completions into dst.
func (c *completionQueue) pop(dst []transport.Completion) int {
	tail := c.tail.Load()
	n := 0
	for n < len(dst) && c.head != tail {
		e := c.take()
		dst[n] = e.Completion
		e.polled()
		n++
	}
	return n
}

// take removes the oldest completion. Its place in the ring may be used again as
// soon as polled was called, and not before.
func (c *completionQueue) take() completion {
	place := &c.entries[c.head&c.mask]
	e := *place
	place.pair = nil
	c.head++
	return e
}

// polled gives back what the completion held.
func (e *completion) polled() {
	q := e.pair
	if e.places > 0 {
		order.Publish(&q.sends.freed, q.sends.freed.Load()+e.places)
		q.sends.popped.Add(1) // a full barrier before the look at closed
	} else {
		q.receives.free()
		q.received.popped.Add(1)
	}
	if q.closed.Load() {
		q.checkDrained()
	}
}

// Poll implements transport.CQ. An empty queue makes the caller drive the engine.
func (c *completionQueue) Poll(dst []transport.Completion, spins int) (int, error) {
	for {
		if n := c.pop(dst); n > 0 || len(dst) == 0 {
			return n, nil
		}
		if spins < 0 {
			return 0, nil
		}
		spins--
		c.engine.poll()
	}
}

// Arm implements transport.CQ.
func (c *completionQueue) Arm(solicitedOnly bool) (ready bool, err error) {
	if solicitedOnly {
		c.armed.Store(armedForSolicited)
	} else {
		c.armed.Store(armedForAny)
	}
	return c.tail.Load() != c.head, nil
}

// Wait implements transport.CQ.
func (c *completionQueue) Wait(ctx context.Context) error {
	c.engine.background.attend()
	defer c.engine.background.dismiss()
	select {
	case <-c.wake:
		return nil
	case <-c.ended:
		return transport.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close implements transport.CQ.
func (c *completionQueue) Close() error {
	c.engine.turn.take()
	c.closed = true
	for tail := c.tail.Load(); c.head != tail; {
		e := c.take()
		e.polled()
	}
	c.engine.release()
	close(c.ended)
	c.engine.adapter.open.Add(-1)
	return nil
}
