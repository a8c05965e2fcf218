package faulty

import "github.com/rfaas-go/rfaas/transport"

// sharingAdapter is an adapter whose inner one has shared receive queues.
type sharingAdapter struct {
	*adapter
	inner transport.SharedReceiver
}

// sharedReceive decorates a shared receive queue.
type sharedReceive struct {
	transport.SRQ
	slow  *slowQueue // that the receives complete into; nil: it is not slow
	recvs lane
}

func (a *sharingAdapter) NewSRQ(cfg transport.SRQConfig) (transport.SRQ, error) {
	queue := cfg.CQ.(*completionQueue)
	cfg.CQ = queue.provider
	inner, err := a.inner.NewSRQ(cfg)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shared++
	s := &sharedReceive{SRQ: inner, slow: queue.slow}
	s.recvs.take, s.recvs.refused = inner.PostRecv, &a.injected.recvFull
	s.recvs.full = newSchedule(a.cfg.Seed, kindSharedRecvFull, a.shared, a.cfg.RecvFull)
	s.recvs.disconnect, s.recvs.status = unhit, unhit // it belongs to no connection
	return s, nil
}

func (s *sharedReceive) PostRecv(wrs []transport.WorkRequest) (int, error) {
	for done := 0; ; {
		n, err := s.recvs.advance(wrs[done:])
		done += n
		if err != nil || done == len(wrs) {
			return done, err
		}
		if s.recvs.refuses() {
			return done, transport.ErrQueueFull
		}
	}
}
