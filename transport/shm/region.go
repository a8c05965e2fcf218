package shm

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/rfaas-go/rfaas/internal/handle"
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// domain is a protection domain: the regions that every peer connected through
// it can map.
type domain struct {
	adapter *adapter
	regions handle.Table[region] // by local key, which is the remote key, too
	first   uint32               // where the keys begin

	mu    sync.Mutex // orders announcements: each region is announced to a peer once
	peers map[*queuePair]struct{}
	count int // regions
	bytes uint64
}

// region is a registered memory region. Its segment is the program's memory,
// and one page more for the revocation word.
type region struct {
	domain *domain
	shared bool // the segment, and so the revocation word, is another region's
	seg    *segment
	mem    []byte
	base   uint64
	key    uint32
	access transport.Access
}

func (a *adapter) NewPD() (transport.PD, error) {
	a.open.Opened("protection domain")
	return &domain{adapter: a, first: rand.Uint32(), peers: map[*queuePair]struct{}{}}, nil
}

func (d *domain) Close() error {
	d.adapter.open.Closed("protection domain")
	return nil
}

func (d *domain) Alloc(size int, access transport.Access) (transport.MR, error) {
	seg, err := newSegment("rfaas-region", size+pageSize, access&(transport.RemoteWrite|transport.RemoteAtomic) == 0)
	if err != nil {
		return nil, err
	}
	r := &region{domain: d, seg: seg, mem: seg.mem[:size:size], base: pages.Address(seg.mem), access: access}
	if err := d.add(r); err != nil {
		seg.close()
		return nil, err
	}
	return r, nil
}

// Share implements transport.Sharer. Peers map the same segment.
func (d *domain) Share(of transport.MR, access transport.Access) (transport.MR, error) {
	o := of.(*region)
	r := &region{domain: d, shared: true, seg: o.seg, mem: o.mem, base: o.base, access: access}
	if err := d.add(r); err != nil {
		return nil, err
	}
	return r, nil
}

// add gives a region its key, and tells peers.
func (d *domain) add(r *region) (err error) {
	size := uint64(len(r.mem))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count == maxRegions || size > maxRegionBytes-d.bytes { // peers accept no more
		return fmt.Errorf("%w: a protection domain holds at most %d regions of %d bytes, and has %d of %d", transport.ErrOutOfRange, maxRegions, maxRegionBytes, d.count, d.bytes)
	}
	if r.key, err = d.regions.Add(r, d.first); err != nil {
		return err
	}
	d.count++
	d.bytes += size
	for qp := range d.peers {
		qp.announce(r)
	}
	d.adapter.open.Opened("memory region")
	return nil
}

func (r *region) Bytes() []byte        { return r.mem }
func (r *region) LKey() uint32         { return r.key }
func (r *region) RKey() transport.RKey { return transport.RKey(r.key) }

func (r *region) Revoke() {
	if !r.shared {
		revocation(r.seg.mem).Store(1)
	}
	r.domain.mu.Lock()
	defer r.domain.mu.Unlock()
	r.domain.regions.Remove(r.key)
	r.domain.count--
	r.domain.bytes -= uint64(len(r.mem))
	for qp := range r.domain.peers {
		qp.withdraw(r)
	}
	r.domain.adapter.open.Closed("memory region")
}

func (r *region) Close() error {
	if r.shared {
		return nil
	}
	return r.seg.close()
}

// join has the domain's regions announced to a queue pair, those that exist and
// those to come.
func (d *domain) join(qp *queuePair) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.peers[qp] = struct{}{}
	for _, r := range d.regions.All() {
		qp.announce(r)
	}
}

func (d *domain) leave(qp *queuePair) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.peers, qp)
}

// local returns the bytes of a span, or false when its region has been closed.
func (d *domain) local(s transport.Span) ([]byte, bool) {
	if s.Len() == 0 {
		return nil, true
	}
	r := d.regions.Get(s.LKey())
	if r == nil {
		return nil, false
	}
	return provider.Within(r.mem, r.base, s.Addr(), uint64(s.Len()))
}
