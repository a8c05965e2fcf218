package transport

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// SharedReceive is a queue of receives that many connections take from, so that
// receive memory grows with the traffic and not with the number of peers. All
// its connections complete their receives into one Queue.
type SharedReceive struct {
	pd    *ProtectionDomain
	queue *Queue
	srq   SRQ
	depth uint32

	// holds counts s itself, while open, and the connections that may still have
	// completions of its receives in the queue.
	holds   atomic.Int32
	closing sync.Once

	receiving Owner
	stage     [stageLength]WorkRequest
}

// NewSharedReceive makes a shared receive queue of depth receives whose
// completions go to q. Needs FeatureSharedReceive.
func (p *ProtectionDomain) NewSharedReceive(q *Queue, depth int) (*SharedReceive, error) {
	op := fmt.Sprintf("new shared receive queue of depth %d", depth)
	maker, ok := p.dev.adapter.(SharedReceiver)
	if !ok || !p.dev.caps.Features.Has(FeatureSharedReceive) {
		return nil, p.dev.opError(op, ScopeRequest, fmt.Errorf("%w: this provider has no shared receive queues; give each connection a RecvDepth", ErrNotSupported))
	}
	if depth <= 0 || uint64(depth) > uint64(p.dev.caps.MaxRecvDepth) {
		return nil, p.dev.opError(op, ScopeRequest, fmt.Errorf("%w: depth must be 1 to %d", ErrOutOfRange, p.dev.caps.MaxRecvDepth))
	}
	if q.dev != p.dev {
		return nil, p.dev.opError(op, ScopeRequest, fmt.Errorf("%w: the queue belongs to another device", ErrInvalid))
	}
	if err := p.dev.begin(); err != nil {
		return nil, p.dev.opError(op, ScopeDevice, err)
	}
	defer p.dev.end()
	s := &SharedReceive{pd: p, queue: q, depth: uint32(depth)}
	s.holds.Store(1)
	if err := q.reserve(s.depth); err != nil {
		return nil, p.dev.opError(op, ScopeRequest, err)
	}
	srq, err := maker.NewSRQ(SRQConfig{PD: p.pd, CQ: q.cq, Depth: s.depth})
	if err != nil {
		q.unreserve(s.depth)
		return nil, p.dev.opError(op, ScopeRequest, err)
	}
	s.srq = srq
	p.dev.track(s)
	return s, nil
}

// PostRecv is Conn.PostRecv for all connections that take from s. A receive
// occupies an entry of the queue until its completion has been polled.
func (s *SharedReceive) PostRecv(wrs ...WorkRequest) (int, error) {
	if err := s.receiving.Acquire(); err != nil {
		return 0, s.pd.dev.opError("post recv", ScopeRequest, err)
	}
	n, err := postRecv(s.pd, s.srq, wrs, &s.stage)
	s.receiving.Release()
	return n, err
}

// Close closes the queue. Connections that use it have to be closed before.
func (s *SharedReceive) Close() (err error) {
	s.closing.Do(func() {
		s.receiving.Retire()
		err = s.srq.Close()
		s.release()
		s.pd.dev.untrack(s)
	})
	return err
}

// hold keeps the reserved completions for a connection. It fails once s is
// closed and its connections are gone.
func (s *SharedReceive) hold() error {
	for {
		n := s.holds.Load()
		if n == 0 {
			return ErrClosed
		}
		if s.holds.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

// release undoes hold. The last one gives the reserved completions back.
func (s *SharedReceive) release() {
	if s.holds.Add(-1) == 0 {
		s.queue.unreserve(s.depth)
	}
}

func (s *SharedReceive) describe() string {
	return fmt.Sprintf("shared receive queue of depth %d", s.depth)
}
func (s *SharedReceive) closeRank() int { return rankShared }
