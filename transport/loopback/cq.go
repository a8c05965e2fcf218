package loopback

import (
	"context"
	"runtime"
	"sync"

	"github.com/rfaas-go/rfaas/transport"
)

// completionQueue is a completion queue.
type completionQueue struct {
	adapter *adapter
	wake    chan struct{} // of one element; holds one when a sleeper is to be woken
	ended   chan struct{} // closed by Close

	mu     sync.Mutex
	ring   ring[entry]
	armed  arming
	closed bool
}

// entry is a completion with what polling it sets free.
type entry struct {
	transport.Completion
	qp    *queuePair
	slots *slots // of the queue that the request was posted to
	freed int64  // slots to give back there
}

// arming is what a sleeper wants to be woken by.
type arming uint8

const (
	notArmed arming = iota
	armedForAny
	armedForSolicited // or failed
)

func (a *adapter) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	if err := a.opened("completion queue"); err != nil {
		return nil, err
	}
	return &completionQueue{
		adapter: a, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		ring: newRing[entry](cfg.Depth),
	}, nil
}

// push adds a completion and wakes who waits for it.
func (c *completionQueue) push(e entry, solicited bool) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		e.polled() // the front drops the completions of a closed queue
		return
	}
	*c.ring.push() = e
	wake := c.armed == armedForAny ||
		c.armed == armedForSolicited && (solicited || e.Status != transport.StatusOK)
	if wake {
		c.armed = notArmed
	}
	c.mu.Unlock()
	if wake {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

func (c *completionQueue) pop() (e entry, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ring.empty() {
		return entry{}, false
	}
	e = *c.ring.first()
	c.ring.drop()
	return e, true
}

func (c *completionQueue) Poll(dst []transport.Completion, spins int) (int, error) {
	for {
		n := 0
		for n < len(dst) {
			e, ok := c.pop()
			if !ok {
				break
			}
			dst[n] = e.Completion
			n++
			e.polled()
		}
		if n > 0 || spins <= 0 {
			return n, nil
		}
		spins--
		runtime.Gosched() // the peer is a goroutine here, and may need this processor
	}
}

func (c *completionQueue) Arm(solicitedOnly bool) (ready bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ring.empty() {
		return true, nil
	}
	c.armed = armedForAny
	if solicitedOnly {
		c.armed = armedForSolicited
	}
	return false, nil
}

func (c *completionQueue) Wait(ctx context.Context) error {
	select {
	case <-c.wake:
		return nil
	case <-c.ended:
		return transport.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *completionQueue) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	close(c.ended)
	for e, ok := c.pop(); ok; e, ok = c.pop() {
		e.polled()
	}
	c.adapter.gone("completion queue")
	return nil
}

// polled gives back what the completion held.
func (e *entry) polled() {
	e.slots.give(e.freed)
	e.qp.release()
}
