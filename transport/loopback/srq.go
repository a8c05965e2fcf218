package loopback

import (
	"slices"
	"sync"

	"github.com/rfaas-go/rfaas/transport"
)

// sharedReceive is a shared receive queue.
type sharedReceive struct {
	adapter *adapter
	slots   slots

	mu      sync.Mutex
	recvs   ring[transport.WorkRequest]
	waiting []*queuePair // senders that found no receive, in order; each once
}

func (a *adapter) NewSRQ(cfg transport.SRQConfig) (transport.SRQ, error) {
	if err := a.opened("shared receive queue"); err != nil {
		return nil, err
	}
	return &sharedReceive{
		adapter: a, slots: slots{depth: int64(cfg.Depth)},
		recvs: newRing[transport.WorkRequest](cfg.Depth),
	}, nil
}

func (s *sharedReceive) PostRecv(wrs []transport.WorkRequest) (int, error) {
	n := s.slots.take(len(wrs))
	s.mu.Lock()
	for i := range wrs[:n] {
		*s.recvs.push() = wrs[i]
	}
	s.mu.Unlock()
	for sender := s.nextWaiting(); sender != nil; sender = s.nextWaiting() {
		sender.resume()
	}
	if n < len(wrs) {
		return n, transport.ErrQueueFull
	}
	return n, nil
}

// nextWaiting takes the sender that waits longest off the list, nil if there is
// none or nothing for it.
func (s *sharedReceive) nextWaiting() *queuePair {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recvs.empty() || len(s.waiting) == 0 {
		return nil
	}
	sender := s.waiting[0]
	s.waiting = slices.Delete(s.waiting, 0, 1)
	return sender
}

// take takes a receive for a sender. If there is none, the sender is resumed
// when one is posted.
func (s *sharedReceive) take(sender *queuePair) (wr transport.WorkRequest, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recvs.empty() {
		if !slices.Contains(s.waiting, sender) {
			s.waiting = append(s.waiting, sender)
		}
		return wr, false
	}
	wr = *s.recvs.first()
	s.recvs.drop()
	return wr, true
}

// forget takes a sender that ended off the list.
func (s *sharedReceive) forget(sender *queuePair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, sender); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
}

// Close drops the receives that nobody took.
func (s *sharedReceive) Close() error {
	s.adapter.gone("shared receive queue")
	return nil
}
