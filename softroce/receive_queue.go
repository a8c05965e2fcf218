package softroce

import (
	"slices"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// receiveQueue holds posted receives, a queue pair's own or shared ones. They are taken
// under the engine lock.
type receiveQueue struct {
	*provider.ReceiveQueue
	shared  bool
	starved []*queuePair // those that found no receive, in order
}

func newReceiveQueue(depth uint32, shared bool) *receiveQueue {
	return &receiveQueue{ReceiveQueue: provider.NewReceiveQueue(depth), shared: shared}
}

// take takes a receive for a queue pair, nil if there is none: then q is starved.
// The caller holds the engine lock.
func (r *receiveQueue) take(q *queuePair) *transport.WorkRequest {
	if r.First() == nil && r.Starve() == nil && !q.starved {
		q.starved = true
		r.starved = append(r.starved, q)
	}
	return r.Take()
}

// feed wakes starved queue pairs, those that wait longest first, as many as there are
// receives. The caller holds the engine lock.
func (r *receiveQueue) feed() {
	r.Starved.Store(false)
	n := min(len(r.starved), r.Posted())
	for _, q := range r.starved[:n] {
		q.starved = false
		if !q.dead.Load() {
			q.machine.ReceivesPosted(q.engine.now)
			q.engine.ready.push(q)
		}
	}
	r.starved = slices.Delete(r.starved, 0, n)
	if len(r.starved) > 0 {
		r.Starved.Store(true)
	}
}

// forget removes a queue pair that ended from the starved ones.
func (r *receiveQueue) forget(q *queuePair) {
	if i := slices.Index(r.starved, q); i >= 0 {
		r.starved = slices.Delete(r.starved, i, i+1)
		q.starved = false
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
