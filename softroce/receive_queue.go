package softroce

import (
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/transport"
)

// receiveQueue is a ring of posted receives, a queue pair's own or a shared one:
// one goroutine posts, whoever has the engine's turn takes. A place is free again
// when the completion has been polled.
type receiveQueue struct {
	entries []transport.WorkRequest
	mask    uint32
	depth   uint32
	starved atomic.Bool // somebody found the ring empty

	_    [64]byte
	tail atomic.Uint32 // posted

	_       [64]byte
	head    uint32 // taken
	hungry  []*queuePair
	_       [64]byte
	freed   atomic.Uint32 // their completions polled; by the completion queue's owner
	sharing bool
}

func newReceiveQueue(depth uint32, shared bool) *receiveQueue {
	size := 1 << bits.Len32(max(depth, 1)-1)
	return &receiveQueue{entries: make([]transport.WorkRequest, size), mask: uint32(size - 1), depth: depth, sharing: shared}
}

// post adds receives, as many as there is room for.
func (r *receiveQueue) post(wrs []transport.WorkRequest) (int, error) {
	tail := r.tail.Load()
	n := min(len(wrs), int(r.depth-(tail-r.freed.Load())))
	for i := range n {
		r.entries[tail&r.mask] = wrs[i]
		tail++
	}
	r.tail.Store(tail)
	if n < len(wrs) {
		return n, transport.ErrQueueFull
	}
	return n, nil
}

// take is by whoever has the engine's turn.
func (r *receiveQueue) take(q *queuePair) (wr transport.WorkRequest, ok bool) {
	if r.head == r.tail.Load() {
		// Announce the hunger, and look again: a receive that is posted now is either
		// seen here, or its poster sees the announcement.
		if !q.hungry {
			q.hungry = true
			r.hungry = append(r.hungry, q)
		}
		r.starved.Store(true)
		if r.head == r.tail.Load() {
			return wr, false
		}
	}
	wr = r.entries[r.head&r.mask]
	r.head++
	return wr, true
}

// feed tells queue pairs that found no receive that there is one: those that wait
// longest, as many as there are receives. By whoever has the engine's turn.
func (r *receiveQueue) feed() {
	r.starved.Store(false)
	n := min(len(r.hungry), r.posted())
	for _, q := range r.hungry[:n] {
		q.hungry = false
		if !q.dead.Load() {
			q.machine.ReceivesPosted(q.engine.now)
			q.engine.ready.push(q)
		}
	}
	r.hungry = slices.Delete(r.hungry, 0, n)
	if len(r.hungry) > 0 {
		r.starved.Store(true)
	}
}

// forget takes a queue pair that ended off the list.
func (r *receiveQueue) forget(q *queuePair) {
	if i := slices.Index(r.hungry, q); i >= 0 {
		r.hungry = slices.Delete(r.hungry, i, i+1)
		q.hungry = false
	}
}

// posted is how many could be taken.
func (r *receiveQueue) posted() int { return int(r.tail.Load() - r.head) }

// free makes the place of a receive available.
func (r *receiveQueue) free() { order.Publish(&r.freed, r.freed.Load()+1) }

// sharedReceive is a shared receive queue.
type sharedReceive struct {
	engine *engine
	queue  *receiveQueue
}

// NewSRQ implements transport.SharedReceiver.
func (a *Adapter) NewSRQ(cfg transport.SRQConfig) (transport.SRQ, error) {
	a.open.Add(1)
	return &sharedReceive{engine: a.engine, queue: newReceiveQueue(cfg.Depth, true)}, nil
}

// PostRecv implements transport.SRQ.
func (s *sharedReceive) PostRecv(wrs []transport.WorkRequest) (int, error) {
	n, err := s.queue.post(wrs)
	if s.queue.starved.Load() {
		s.engine.feed(s.queue)
	}
	return n, err
}

// Close implements transport.SRQ.
func (s *sharedReceive) Close() error {
	s.engine.adapter.open.Add(-1)
	return nil
}
