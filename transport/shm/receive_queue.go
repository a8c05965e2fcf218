package shm

import (
	"math/bits"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/transport"
)

// receiveQueue is a ring of posted receives: one goroutine posts, the owner of
// the completion queue takes. A place is free again when the completion has been
// polled.
type receiveQueue struct {
	entries []receiveEntry
	mask    uint32
	depth   uint32
	starved atomic.Bool // a message waits for a receive

	_     [lineBytes]byte
	tail  atomic.Uint32 // posted
	_     [lineBytes]byte
	head  uint32        // taken; the owner's
	freed atomic.Uint32 // their completions polled
}

type receiveEntry struct {
	id            uint64
	first, second transport.Span
}

func newReceiveQueue(depth uint32) *receiveQueue {
	size := 1 << bits.Len32(max(depth, 1)-1)
	return &receiveQueue{entries: make([]receiveEntry, size), mask: uint32(size - 1), depth: depth}
}

// post adds receives, as many as there is room for.
func (q *receiveQueue) post(wrs []transport.WorkRequest) (int, error) {
	tail := q.tail.Load()
	room := int(q.depth - (tail - q.freed.Load()))
	n := min(len(wrs), room)
	for i := range n {
		wr := &wrs[i]
		q.entries[tail&q.mask] = receiveEntry{wr.ID, wr.Local, wr.Second()}
		tail++
	}
	q.tail.Store(tail)
	if n < len(wrs) {
		return n, transport.ErrQueueFull
	}
	return n, nil
}

// first is the next receive to be used, nil if there is none.
func (q *receiveQueue) first() *receiveEntry {
	if q.head == q.tail.Load() {
		return nil
	}
	return &q.entries[q.head&q.mask]
}

// take removes the first receive.
func (q *receiveQueue) take() { q.head++ }

// free makes the places of n receives available.
func (q *receiveQueue) free(n int) { order.Publish(&q.freed, q.freed.Load()+uint32(n)) }

func (q *receiveQueue) empty() bool { return q.head == q.tail.Load() }

// PostRecv implements transport.QP.
func (qp *queuePair) PostRecv(wrs []transport.WorkRequest) (int, error) {
	n, err := qp.receives.post(wrs)
	if qp.receives.starved.Load() || qp.state.Load() != stateReady {
		qp.advance()
		qp.recvCQ.wakeSleeper(true)
	}
	return n, err
}

// sharedReceive is a shared receive queue.
type sharedReceive struct {
	queue     *receiveQueue
	cq        *completionQueue
	advancing errand
}

// NewSRQ implements transport.SharedReceiver.
func (a *adapter) NewSRQ(cfg transport.SRQConfig) (transport.SRQ, error) {
	a.open.Add(1)
	return &sharedReceive{queue: newReceiveQueue(cfg.Depth), cq: cfg.CQ.(*completionQueue)}, nil
}

// PostRecv implements transport.SRQ.
func (s *sharedReceive) PostRecv(wrs []transport.WorkRequest) (int, error) {
	n, err := s.queue.post(wrs)
	if s.queue.starved.Load() {
		s.queue.starved.Store(false)
		if s.advancing.request() {
			go s.cq.run(&s.advancing, s.advance)
		}
	}
	return n, err
}

// advance looks after all connections that share the queue, taking turns with the
// program's polls, so that none is always the last.
func (s *sharedReceive) advance() {
	cq := s.cq
	members := *cq.members.Load()
	for range members {
		if cq.turn >= len(members) {
			cq.turn = 0
		}
		m := &members[cq.turn]
		cq.turn++
		if m.qp.receives == s.queue {
			cq.receiveInBackground(m.qp)
		}
	}
}

// Close implements transport.SRQ.
func (s *sharedReceive) Close() error {
	s.cq.adapter.open.Add(-1)
	return nil
}
