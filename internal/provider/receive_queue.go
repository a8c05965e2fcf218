package provider

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// ReceiveQueue is a ring of posted receives, a queue pair's own or a shared one. One
// goroutine at a time posts, one takes. The credit of a receive is given back when
// its completion has been polled.
type ReceiveQueue struct {
	Credits Credits
	// Starved is set by a taker that found no receive (Starve): the goroutine that posts next
	// wakes the one that takes, and resets it.
	Starved atomic.Bool

	entries Ring[transport.WorkRequest]
	_       [64]byte
	tail    atomic.Uint32 // posted
	_       [64]byte
	head    uint32 // taken
}

// NewReceiveQueue makes a queue for depth receives.
func NewReceiveQueue(depth uint32) *ReceiveQueue {
	return &ReceiveQueue{Credits: NewCredits(depth), entries: NewRing[transport.WorkRequest](depth)}
}

// Post adds receives, as many as there is room for; fewer than all with
// ErrQueueFull. It is a full barrier: a look at Starved afterwards misses no taker.
func (r *ReceiveQueue) Post(wrs []transport.WorkRequest) (n int, err error) {
	n = r.Credits.Take(len(wrs))
	tail := r.tail.Load()
	for i := range wrs[:n] {
		*r.entries.At(tail) = wrs[i]
		tail++
	}
	r.tail.Store(tail)
	if n < len(wrs) {
		err = transport.ErrQueueFull
	}
	return n, err
}

// First is the receive to be taken next, nil if there is none. It is valid until it or one
// that is taken later has completed: then its entry may be posted to.
func (r *ReceiveQueue) First() *transport.WorkRequest {
	if r.head == r.tail.Load() {
		return nil
	}
	return r.entries.At(r.head)
}

// Starve sets Starved, for a taker that has found no receive and will wait, and looks again.
func (r *ReceiveQueue) Starve() *transport.WorkRequest {
	r.Starved.Store(true)
	return r.First() // one may have been posted before Starved was visible
}

// Take takes First and returns it.
func (r *ReceiveQueue) Take() *transport.WorkRequest {
	first := r.First()
	if first != nil {
		r.head++
	}
	return first
}

// Posted is how many can be taken.
func (r *ReceiveQueue) Posted() int { return int(r.tail.Load() - r.head) }
