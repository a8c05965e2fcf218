package shm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/handle"
	"github.com/rfaas-go/rfaas/transport"
)

// domain is a protection domain: the regions that every peer connected through
// it can map.
type domain struct {
	adapter *adapter
	regions handle.Table[region] // by local key, which is the remote key, too
	seed    uint32               // where the keys' generations begin

	mu    sync.Mutex // orders announcements: a peer hears of every region once
	peers map[*queuePair]struct{}
}

// region is a registered memory region. Its segment is the program's memory,
// and one page more for the revocation word.
type region struct {
	domain *domain
	seg    *segment
	mem    []byte
	base   uint64
	key    uint32
	access transport.Access
}

func (a *adapter) NewPD() (transport.PD, error) {
	a.open.Add(1)
	return &domain{adapter: a, seed: rand.Uint32(), peers: map[*queuePair]struct{}{}}, nil
}

func (d *domain) Close() error {
	d.adapter.open.Add(-1)
	return nil
}

func (d *domain) Alloc(size int, access transport.Access) (transport.MR, error) {
	pages := (size + pageSize - 1) &^ (pageSize - 1)
	seg, err := newSegment("rfaas-region", pages+pageSize, access&(transport.RemoteWrite|transport.RemoteAtomic) == 0)
	if err != nil {
		return nil, err
	}
	r := &region{domain: d, seg: seg, mem: seg.mem[:size:size], base: addressOf(seg.mem), access: access}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.key, err = d.regions.Add(r, d.seed); err != nil {
		seg.close()
		return nil, fmt.Errorf("%w: a protection domain holds at most %d regions", transport.ErrOutOfRange, handle.Max)
	}
	for qp := range d.peers {
		qp.announce(r)
	}
	d.adapter.open.Add(1)
	return r, nil
}

func (r *region) Bytes() []byte        { return r.mem }
func (r *region) LKey() uint32         { return r.key }
func (r *region) RKey() transport.RKey { return transport.RKey(r.key) }

func (r *region) Revoke() {
	revocation(r.seg.mem).Store(1)
	r.domain.mu.Lock()
	defer r.domain.mu.Unlock()
	r.domain.regions.Remove(r.key)
	for qp := range r.domain.peers {
		qp.withdraw(r)
	}
	r.domain.adapter.open.Add(-1)
}

func (r *region) Close() error { return r.seg.close() }

// join makes a queue pair hear of the domain's regions, those that exist and
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
	return within(r.mem, r.base, s.Addr(), uint32(s.Len()))
}

// within returns the n bytes at addr of mem, which begins at address base.
func within(mem []byte, base, addr uint64, n uint32) ([]byte, bool) {
	off := addr - base // wraps around below base, and is too large then
	if size := uint64(len(mem)); off > size || uint64(n) > size-off {
		return nil, false
	}
	return mem[off : off+uint64(n)], true
}

// remoteRegion is a peer's region, mapped.
type remoteRegion struct {
	seg    *segment
	mem    []byte
	base   uint64 // in the peer's address space
	key    uint32
	access transport.Access
	gone   atomic.Bool // withdrawn here, about to be unmapped
}

// bytes returns n bytes at the peer's address addr. It fails when they are not
// within the region, or the region grants not all of need, or was closed.
func (r *remoteRegion) bytes(addr uint64, n uint32, need transport.Access) ([]byte, bool) {
	if r.access&need != need || revocation(r.seg.mem).Load() != 0 {
		return nil, false
	}
	return within(r.mem, r.base, addr, n)
}

// atlas is the regions of one peer.
type atlas struct {
	byKey atomic.Pointer[map[uint32]*remoteRegion] // replaced on every change
	seen  atomic.Uint32                            // announcements looked at
}

func (a *atlas) get(key uint32) *remoteRegion {
	if m := a.byKey.Load(); m != nil {
		return (*m)[key]
	}
	return nil
}

// add maps a region that the peer announced, and closes its descriptor. Called by
// one goroutine.
func (a *atlas) add(m announcement, fd int) error {
	defer a.seen.Add(1)
	if m.size == 0 || m.size > 1<<46 {
		unix.Close(fd)
		return errors.New("the peer announced a region of an impossible size")
	}
	pages := (int(m.size) + pageSize - 1) &^ (pageSize - 1)
	writable := m.access&(transport.RemoteWrite|transport.RemoteAtomic) != 0
	seg, err := mapSegment(fd, pages+pageSize, writable)
	if err != nil {
		return err
	}
	a.change(func(all map[uint32]*remoteRegion) {
		all[m.key] = &remoteRegion{seg: seg, mem: seg.mem[:m.size:m.size], base: m.base, key: m.key, access: m.access}
	})
	return nil
}

// remove forgets a region and returns it, still mapped: the caller unmaps it
// when nobody can be using it any more.
func (a *atlas) remove(key uint32) *remoteRegion {
	r := a.get(key)
	if r != nil {
		r.gone.Store(true)
		a.change(func(all map[uint32]*remoteRegion) { delete(all, key) })
	}
	return r
}

func (a *atlas) change(f func(map[uint32]*remoteRegion)) {
	all := map[uint32]*remoteRegion{}
	if m := a.byKey.Load(); m != nil {
		for k, r := range *m {
			all[k] = r
		}
	}
	f(all)
	a.byKey.Store(&all)
}

func (a *atlas) unmap() {
	if m := a.byKey.Swap(nil); m != nil {
		for _, r := range *m {
			r.gone.Store(true)
			r.seg.close()
		}
	}
}
