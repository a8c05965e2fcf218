package shm

import (
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// PostRecv implements transport.QP.
func (qp *queuePair) PostRecv(wrs []transport.WorkRequest) (int, error) {
	n, err := qp.receives.Post(wrs)
	if qp.receives.Starved.Load() || qp.state.Load() != stateReady {
		qp.advance()
		qp.recvCQ.sleeper.Notify(true)
	}
	return n, err
}

// sharedReceiveQueue is a shared receive queue.
type sharedReceiveQueue struct {
	queue     *provider.ReceiveQueue
	cq        *completionQueue
	advancing errand
}

// NewSRQ implements transport.SharedReceiver.
func (a *adapter) NewSRQ(cfg transport.SRQConfig) (transport.SRQ, error) {
	a.open.Opened("shared receive queue")
	return &sharedReceiveQueue{queue: provider.NewReceiveQueue(cfg.Depth), cq: cfg.CQ.(*completionQueue)}, nil
}

// PostRecv implements transport.SRQ.
func (s *sharedReceiveQueue) PostRecv(wrs []transport.WorkRequest) (int, error) {
	n, err := s.queue.Post(wrs)
	if s.queue.Starved.Load() {
		s.queue.Starved.Store(false)
		if s.advancing.request() {
			go s.cq.run(&s.advancing, s.advance)
		}
	}
	return n, err
}

// advance serves all connections that share the queue. Like the program's polls,
// it begins each time with the next one, so that none is always last.
func (s *sharedReceiveQueue) advance() {
	cq := s.cq
	members := *cq.members.Load()
	for range members {
		if cq.next >= len(members) {
			cq.next = 0
		}
		m := &members[cq.next]
		cq.next++
		if m.qp.receives == s.queue {
			cq.receiveInBackground(m.qp)
		}
	}
}

// Close implements transport.SRQ.
func (s *sharedReceiveQueue) Close() error {
	s.cq.adapter.open.Closed("shared receive queue")
	return nil
}
