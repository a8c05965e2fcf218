package faulty

import (
	"context"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// slowQueue is a completion queue whose completions come when they are due. It takes
// them from the provider's and keeps their order. What it has no room for remains there.
type slowQueue struct {
	transport.CQ
	adapter *adapter

	// For the goroutine that polls.
	held  []transport.Completion // a ring
	marks []mark                 // of each
	head  int                    // the oldest one
	count int
	last  time.Duration // when the newest one is due

	pulling atomic.Bool  // some may be neither in the provider's queue nor counted here
	next    atomic.Int64 // when the oldest one is due
}

// mark is what is known about a completion that is held.
type mark struct {
	due   time.Duration
	pair  *queuePair // nil: a stranger's
	posts uint32     // for an own request that succeeded: how many were posted up to it
	own   bool
}

// neverDue is later than all times.
const neverDue = math.MaxInt64

func newSlowQueue(a *adapter, inner transport.CQ, depth uint32) *slowQueue {
	s := &slowQueue{CQ: inner, adapter: a, held: make([]transport.Completion, depth), marks: make([]mark, depth)}
	s.next.Store(neverDue)
	return s
}

func (s *slowQueue) Poll(dst []transport.Completion, spins int) (int, error) {
	for {
		err := s.pull()
		if n := s.release(dst); n > 0 || err != nil || spins <= 0 {
			return n, err
		}
		spins--
		runtime.Gosched()
	}
}

// pull takes what the provider has, and decides when each is due.
func (s *slowQueue) pull() error {
	from := (s.head + s.count) % len(s.held)
	to := min(from+len(s.held)-s.count, len(s.held))
	if from == to {
		return nil
	}
	s.pulling.Store(true)
	n, err := s.CQ.Poll(s.held[from:to], 0)
	if n > 0 {
		now := s.adapter.now()
		s.adapter.mu.RLock()
		for i := from; i < from+n; i++ {
			s.marks[i] = s.mark(&s.held[i], now)
		}
		s.adapter.mu.RUnlock()
		s.count += n
		s.next.Store(int64(s.marks[s.head].due))
		s.adapter.injected.delayed.Add(uint64(n))
	}
	s.pulling.Store(false)
	s.adapter.finishDrained()
	return err
}

// mark decides when a completion is due. The adapter is locked.
func (s *slowQueue) mark(c *transport.Completion, now time.Duration) (m mark) {
	m.pair = s.adapter.queuePairs[c.Conn]
	if m.pair != nil {
		m.pair.late.held.Add(1)
		switch received := c.Op == transport.OpRecv || c.Op == transport.OpRecvImm; {
		case received && c.Status == transport.StatusOK:
			m.due = m.pair.late.received(now, int(c.Bytes))
		case received:
		case c.Status == transport.StatusOK:
			m.due, m.posts = m.pair.late.done()
			m.own = true
		default:
			m.pair.late.failed.Store(true)
		}
	}
	s.last = max(s.last, m.due)
	m.due = s.last
	return m
}

// release hands over what is due.
func (s *slowQueue) release(dst []transport.Completion) (n int) {
	if s.count == 0 {
		return 0
	}
	now := s.adapter.now()
	for ; n < len(dst) && s.count > 0 && s.marks[s.head].due <= now; n++ {
		dst[n] = s.held[s.head]
		s.drop()
	}
	if n > 0 {
		s.adapter.finishDrained()
	}
	return n
}

// drop takes the oldest completion out.
func (s *slowQueue) drop() {
	m := &s.marks[s.head]
	if m.pair != nil {
		if m.own {
			m.pair.late.released(m.posts)
		}
		m.pair.late.held.Add(-1)
		m.pair = nil
	}
	s.head = (s.head + 1) % len(s.held)
	s.count--
	next := int64(neverDue)
	if s.count > 0 {
		next = int64(s.marks[s.head].due)
	}
	s.next.Store(next)
}

func (s *slowQueue) Arm(solicitedOnly bool) (ready bool, err error) {
	if s.next.Load() <= int64(s.adapter.now()) {
		return true, nil
	}
	return s.CQ.Arm(solicitedOnly)
}

// Wait sleeps until there may be something new, or the oldest completion is due.
func (s *slowQueue) Wait(ctx context.Context) error {
	next := s.next.Load()
	if next == neverDue {
		return s.CQ.Wait(ctx)
	}
	due, cancel := context.WithTimeout(ctx, time.Duration(next)-s.adapter.now())
	defer cancel()
	err := s.CQ.Wait(due)
	if err != nil && due.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

func (s *slowQueue) Close() error {
	err := s.CQ.Close()
	for s.count > 0 {
		s.drop()
	}
	s.adapter.finishDrained()
	return err
}
