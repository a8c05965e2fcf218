package verbs

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// sharedReceiveQueue is a shared receive queue. Its receives complete in any order, so
// each takes an index from a ring of free ones. Posting takes indexes, polling returns
// them.
type sharedReceiveQueue struct {
	adapter *Adapter
	srq     *ibv.SRQ
	handle  uint32
	ids     []uint64 // by index

	free provider.Ring[uint32]

	_     [64]byte
	taken atomic.Uint32
	_     [64]byte
	given atomic.Uint32
}

// NewSRQ implements transport.SharedReceiver.
func (a *Adapter) NewSRQ(cfg transport.SRQConfig) (transport.SRQ, error) {
	srq, err := cfg.PD.(*domain).pd.NewSRQ(int(cfg.Depth), spans)
	if err != nil {
		return nil, err
	}
	s := &sharedReceiveQueue{adapter: a, srq: srq, ids: make([]uint64, cfg.Depth), free: provider.NewRing[uint32](cfg.Depth)}
	for i := range cfg.Depth {
		*s.free.At(i) = i
	}
	s.given.Store(cfg.Depth)
	if s.handle, err = a.shared.Add(s, 0); err != nil {
		srq.Close()
		return nil, err
	}
	a.open.Opened("shared receive queue")
	return s, nil
}

// PostRecv implements transport.SRQ. Receives with consecutive indexes go to the
// device together.
func (s *sharedReceiveQueue) PostRecv(wrs []transport.WorkRequest) (int, error) {
	taken := s.taken.Load()
	n := min(len(wrs), int(s.given.Load()-taken))
	for done := 0; done < n; {
		first := *s.free.At(taken + uint32(done))
		run := 0
		for done+run < n && *s.free.At(taken + uint32(done+run)) == first+uint32(run) {
			s.ids[first+uint32(run)] = wrs[done+run].ID
			run++
		}
		got, err := s.srq.PostRecv(wrs[done:done+run], requestID(s.handle, kindShared, first))
		done += got
		if err != nil {
			order.Publish(&s.taken, taken+uint32(done))
			return done, err
		}
	}
	order.Publish(&s.taken, taken+uint32(n))
	if n < len(wrs) {
		return n, transport.ErrQueueFull
	}
	return n, nil
}

// complete frees an index and returns the ID of its receive. By the goroutine that polls.
func (s *sharedReceiveQueue) complete(index uint32) uint64 {
	id := s.ids[index]
	given := s.given.Load()
	*s.free.At(given) = index
	order.Publish(&s.given, given+1)
	return id
}

// Close implements transport.SRQ.
func (s *sharedReceiveQueue) Close() error {
	s.adapter.shared.Remove(s.handle)
	s.adapter.open.Closed("shared receive queue")
	return s.srq.Close()
}
