package loopback

import (
	"slices"
	"sync"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// sharedReceiveQueue is a shared receive queue.
type sharedReceiveQueue struct {
	adapter *adapter

	mu      sync.Mutex
	recvs   *provider.ReceiveQueue
	waiting []*queuePair // senders that found no receive, in order; each once
}

func (a *adapter) NewSRQ(cfg transport.SRQConfig) (transport.SRQ, error) {
	a.open.Opened("shared receive queue")
	return &sharedReceiveQueue{adapter: a, recvs: provider.NewReceiveQueue(cfg.Depth)}, nil
}

func (s *sharedReceiveQueue) PostRecv(wrs []transport.WorkRequest) (int, error) {
	s.mu.Lock()
	n, err := s.recvs.Post(wrs)
	s.mu.Unlock()
	for sender := s.nextWaiting(); sender != nil; sender = s.nextWaiting() {
		sender.resume()
	}
	return n, err
}

// nextWaiting removes the sender that waits longest from the list. It returns
// nil if none waits, or there is no receive.
func (s *sharedReceiveQueue) nextWaiting() *queuePair {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recvs.First() == nil || len(s.waiting) == 0 {
		return nil
	}
	sender := s.waiting[0]
	s.waiting = slices.Delete(s.waiting, 0, 1)
	return sender
}

// take takes a receive for a sender. If there is none, the sender is resumed
// when one is posted. It returns a copy: when a receive that another connection takes
// later completes earlier, the entry of this one is posted to.
func (s *sharedReceiveQueue) take(sender *queuePair) (recv transport.WorkRequest, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.recvs.Take(); first != nil {
		return *first, true
	}
	if !slices.Contains(s.waiting, sender) {
		s.waiting = append(s.waiting, sender)
	}
	return recv, false
}

// forget removes a sender that ended from the list.
func (s *sharedReceiveQueue) forget(sender *queuePair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, sender); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
}

// Close drops the receives that were not taken.
func (s *sharedReceiveQueue) Close() error {
	s.adapter.open.Closed("shared receive queue")
	return nil
}
