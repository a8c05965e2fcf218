package softroce

import (
	"slices"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// receiveQueue are posted receives, a queue pair's own or shared ones. Whoever has the
// engine lock takes.
type receiveQueue struct {
	*provider.ReceiveQueue
	shared bool
	hungry []*queuePair // those that found no receive, in order
}

func newReceiveQueue(depth uint32, shared bool) *receiveQueue {
	return &receiveQueue{ReceiveQueue: provider.NewReceiveQueue(depth), shared: shared}
}

// take takes a receive for a queue pair, nil if there is none: then it is hungry. By
// whoever has the engine lock.
func (r *receiveQueue) take(q *queuePair) *transport.WorkRequest {
	if r.FirstOrStarved() == nil && !q.hungry {
		q.hungry = true
		r.hungry = append(r.hungry, q)
	}
	return r.Take()
}

// feed tells hungry queue pairs that there is a receive: those that wait longest, as
// many as there are receives. By whoever has the engine lock.
func (r *receiveQueue) feed() {
	r.Starved.Store(false)
	n := min(len(r.hungry), r.Posted())
	for _, q := range r.hungry[:n] {
		q.hungry = false
		if !q.dead.Load() {
			q.machine.ReceivesPosted(q.engine.now)
			q.engine.ready.push(q)
		}
	}
	r.hungry = slices.Delete(r.hungry, 0, n)
	if len(r.hungry) > 0 {
		r.Starved.Store(true)
	}
}

// forget takes a queue pair that ended off the list.
func (r *receiveQueue) forget(q *queuePair) {
	if i := slices.Index(r.hungry, q); i >= 0 {
		r.hungry = slices.Delete(r.hungry, i, i+1)
		q.hungry = false
	}
}

// sharedReceiveQueue is a shared receive queue.
type sharedReceiveQueue struct {
	engine *engine
	queue  *receiveQueue
}

// NewSRQ implements transport.SharedReceiver.
func (a *Adapter) NewSRQ(cfg transport.SRQConfig) (transport.SRQ, error) {
	a.open.Opened("shared receive queue")
	return &sharedReceiveQueue{engine: a.engine, queue: newReceiveQueue(cfg.Depth, true)}, nil
}

// PostRecv implements transport.SRQ.
func (s *sharedReceiveQueue) PostRecv(wrs []transport.WorkRequest) (int, error) {
	n, err := s.queue.Post(wrs)
	if s.queue.Starved.Load() {
		s.engine.feed(s.queue)
	}
	return n, err
}

// Close implements transport.SRQ.
func (s *sharedReceiveQueue) Close() error {
	s.engine.adapter.open.Closed("shared receive queue")
	return nil
}
