package shm

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// What one protection domain can have, and so what one peer can announce.
const (
	maxRegions     = 1 << 14
	maxRegionBytes = 1 << 42 // together
)

// remoteRegion is a peer's region, mapped.
type remoteRegion struct {
	seg    *segment // nil if lost is set
	mem    []byte
	base   uint64 // in the peer's address space
	size   uint64
	key    uint32
	access transport.Access
	lost   error       // why it could not be mapped here
	gone   atomic.Bool // withdrawn here, about to be unmapped
}

// bytes returns n bytes at the peer's address addr. It fails when they are not
// within the region, or the region grants not all of need, or was closed.
func (r *remoteRegion) bytes(addr uint64, n uint32, need transport.Access) ([]byte, bool) {
	if r.access&need != need || r.seg == nil || revocation(r.seg.mem).Load() != 0 {
		return nil, false
	}
	return provider.Within(r.mem, r.base, addr, uint64(n))
}

func (r *remoteRegion) unmap() {
	if r.seg != nil {
		mapped.give(len(r.seg.mem))
		r.seg.close()
	}
}

// atlas is the regions of one peer, by key. Any goroutine may look one up; one at a time
// changes it.
type atlas struct {
	table atomic.Pointer[[]atlasSlot] // replaced when it is full
	seen  atomic.Uint32               // announcements looked at
	used  int                         // slots with a key
	count int                         // of them with a region
	bytes uint64                      // of these
}

// atlasSlot is where a key is found: in the first slot from that of its hash on that has
// it, before one that has none. Keys stay when their regions are gone.
type atlasSlot struct {
	key    atomic.Uint32
	region atomic.Pointer[remoteRegion]
}

const leastAtlas = 16

// find is the slot of a key, or the empty one where it would be.
func find(table []atlasSlot, key uint32) *atlasSlot {
	hash := key * 0x9e3779b1 >> (32 - bits.Len(uint(len(table)-1)))
	for {
		s := &table[hash]
		if k := s.key.Load(); k == key || k == 0 {
			return s
		}
		hash = (hash + 1) & uint32(len(table)-1)
	}
}

func (a *atlas) get(key uint32) *remoteRegion {
	if t := a.table.Load(); t != nil && key != 0 {
		return find(*t, key).region.Load()
	}
	return nil
}

// add maps a region that the peer announced, and closes its descriptor, which is -1 if
// there was no room for it. A region that cannot be mapped is lost: only requests that
// use its key fail. An announcement that no correct peer makes is an error.
func (a *atlas) add(m announcement, fd int) error {
	defer a.seen.Add(1)
	err := a.check(m)
	if err != nil {
		provider.CloseDescriptors([]int{fd})
		return err
	}
	r := &remoteRegion{base: m.base, size: m.size, key: m.key, access: m.access}
	if fd < 0 {
		r.lost = errors.New("its descriptor did not arrive: too many files were open here (ulimit -n)")
	} else if r.seg, r.lost = mapRegion(m, fd); r.lost == nil {
		r.mem = r.seg.mem[:m.size:m.size]
	} else if errors.Is(r.lost, transport.ErrInvalid) {
		return r.lost
	}
	a.count++
	a.bytes += m.size
	a.put(r)
	return nil
}

// check refuses what the peer should not announce.
func (a *atlas) check(m announcement) error {
	switch {
	case m.key == 0 || m.size == 0:
		return errMalformed
	case a.get(m.key) != nil:
		return fmt.Errorf("%w: the region %#x is announced twice", transport.ErrInvalid, m.key)
	case a.count == maxRegions || m.size > maxRegionBytes-a.bytes:
		return fmt.Errorf("%w: a region of %d bytes is announced beside %d of %d: a peer can have %d of %d", transport.ErrInvalid, m.size, a.count, a.bytes, maxRegions, maxRegionBytes)
	}
	return nil
}

func mapRegion(m announcement, fd int) (*segment, error) {
	pages := (int(m.size)+pageSize-1)&^(pageSize-1) + pageSize
	if err := mapped.take(pages); err != nil {
		unix.Close(fd)
		return nil, err
	}
	seg, err := mapSegment(fd, pages, m.access&(transport.RemoteWrite|transport.RemoteAtomic) != 0)
	if err != nil {
		mapped.give(pages)
	}
	return seg, err
}

// put enters a region into the table.
func (a *atlas) put(r *remoteRegion) {
	t := a.table.Load()
	if t == nil || 2*a.used >= len(*t) {
		t = a.rebuild()
	}
	s := find(*t, r.key)
	s.region.Store(r)
	if s.key.Load() == 0 {
		a.used++
		s.key.Store(r.key)
	}
}

// rebuild makes a table that is less than half full, without the keys of regions that are
// gone.
func (a *atlas) rebuild() *[]atlasSlot {
	size := max(leastAtlas, 4<<bits.Len(uint(a.count)))
	table := make([]atlasSlot, size)
	a.used = 0
	if old := a.table.Load(); old != nil {
		for i := range *old {
			if r := (*old)[i].region.Load(); r != nil {
				s := find(table, r.key)
				s.region.Store(r)
				s.key.Store(r.key)
				a.used++
			}
		}
	}
	a.table.Store(&table)
	return &table
}

// remove removes a region and returns it, still mapped: the caller unmaps it
// when no call can be using it.
func (a *atlas) remove(key uint32) *remoteRegion {
	r := a.get(key)
	if r != nil {
		r.gone.Store(true)
		find(*a.table.Load(), key).region.Store(nil)
		a.count--
		a.bytes -= r.size
	}
	return r
}

func (a *atlas) unmap() {
	if t := a.table.Swap(nil); t != nil {
		for i := range *t {
			if r := (*t)[i].region.Load(); r != nil {
				r.gone.Store(true)
				r.unmap()
			}
		}
	}
}
