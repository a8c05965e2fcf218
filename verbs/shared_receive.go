package verbs

import (
	"math/bits"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// sharedReceive is a shared receive queue. Its receives complete in any order, so
// each has a place, and places that are free stand in a ring: taken by who posts,
// given back by who polls.
type sharedReceive struct {
	adapter *Adapter
	srq     *ibv.SRQ
	handle  uint32
	ids     []uint64 // by place

	free []uint32
	mask uint32

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
	size := uint32(1) << bits.Len32(max(cfg.Depth, 1)-1)
	s := &sharedReceive{adapter: a, srq: srq, ids: make([]uint64, cfg.Depth), free: make([]uint32, size), mask: size - 1}
	for place := range cfg.Depth {
		s.free[place] = place
	}
	s.given.Store(cfg.Depth)
	if s.handle, err = a.shared.Add(s, 0); err != nil {
		srq.Close()
		return nil, err
	}
	a.open.Add(1)
	return s, nil
}

// PostRecv implements transport.SRQ. Receives whose places follow each other go to
// the device together.
func (s *sharedReceive) PostRecv(wrs []transport.WorkRequest) (int, error) {
	taken := s.taken.Load()
	n := min(len(wrs), int(s.given.Load()-taken))
	for done := 0; done < n; {
		first := s.free[(taken+uint32(done))&s.mask]
		run := 0
		for done+run < n && s.free[(taken+uint32(done+run))&s.mask] == first+uint32(run) {
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

// complete is the ID of the receive at a place, which is free from then on. By
// whoever polls.
func (s *sharedReceive) complete(place uint32) uint64 {
	id := s.ids[place]
	given := s.given.Load()
	s.free[given&s.mask] = place
	order.Publish(&s.given, given+1)
	return id
}

// Close implements transport.SRQ.
func (s *sharedReceive) Close() error {
	s.adapter.shared.Remove(s.handle)
	s.adapter.open.Add(-1)
	return s.srq.Close()
}
