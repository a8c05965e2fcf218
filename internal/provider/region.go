package provider

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/handle"
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/transport"
)

// Region is a memory region. It implements transport.MR but for Revoke.
type Region struct {
	mem    []byte
	base   uint64
	access transport.Access
	lkey   uint32
	rkey   transport.RKey
	free   func() error
}

// NewRegion makes a region of memory that the caller keeps until Close: free, which
// may be nil, gives it back.
func NewRegion(mem []byte, access transport.Access, free func() error) *Region {
	return &Region{mem: mem, base: pages.Address(mem), access: access, free: free}
}

// Bytes implements transport.MR.
func (r *Region) Bytes() []byte { return r.mem }

// LKey implements transport.MR.
func (r *Region) LKey() uint32 { return r.lkey }

// RKey implements transport.MR.
func (r *Region) RKey() transport.RKey { return r.rkey }

// Close implements transport.MR.
func (r *Region) Close() error {
	if r.free == nil {
		return nil
	}
	return r.free()
}

// Regions are the regions of a protection domain. Local may be called at any time.
// The rest is under a lock of the provider's, Remote perhaps by several at once: who
// holds the lock while a region is removed, and while memory is touched that was
// looked up, touches no region that was closed.
type Regions struct {
	byLKey handle.Table[Region]
	byRKey map[transport.RKey]*Region
	last   atomic.Pointer[Region] // found by Remote
}

// Add gives a region its keys. On failure it is closed.
func (t *Regions) Add(r *Region) (err error) {
	if r.lkey, err = t.byLKey.Add(r, 0); err != nil {
		r.Close()
		return fmt.Errorf("%w: a protection domain holds at most %d regions", transport.ErrOutOfRange, handle.Max)
	}
	for r.rkey == 0 || t.byRKey[r.rkey] != nil {
		r.rkey = transport.RKey(Random32())
	}
	if t.byRKey == nil {
		t.byRKey = map[transport.RKey]*Region{}
	}
	t.byRKey[r.rkey] = r
	return nil
}

// Remove takes a region out, and reports whether it was there.
func (t *Regions) Remove(r *Region) bool {
	if !t.byLKey.Remove(r.lkey) {
		return false
	}
	delete(t.byRKey, r.rkey)
	t.last.CompareAndSwap(r, nil)
	return true
}

// Len is how many there are. It may be called at any time.
func (t *Regions) Len() int { return len(t.byLKey.All()) }

// Local is the memory of a span. ok is false when its region was closed.
func (t *Regions) Local(s transport.Span) (mem []byte, ok bool) {
	r := t.byLKey.Get(s.LKey())
	if r == nil {
		return nil, false
	}
	return Within(r.mem, r.base, s.Addr(), uint64(s.Len()))
}

// Remote is the n bytes at addr that a request of the peer's names by a region's
// key, if it has the right need to them.
func (t *Regions) Remote(key transport.RKey, addr, n uint64, need transport.Access) ([]byte, error) {
	r := t.last.Load()
	if r == nil || r.rkey != key {
		if r = t.byRKey[key]; r == nil {
			return nil, fmt.Errorf("rkey %#x names no region, or one that was closed", key)
		}
		t.last.Store(r)
	}
	mem, ok := Within(r.mem, r.base, addr, n)
	switch {
	case !ok:
		return nil, fmt.Errorf("%d bytes at %#x are not within the region of %d bytes at %#x", n, addr, len(r.mem), r.base)
	case r.access&need != need:
		return nil, fmt.Errorf("the region grants %v, not %v", r.access, need)
	}
	return mem, nil
}

// Within is the n bytes at addr of mem, which begins at address base. ok is false
// when they are not all there.
func Within(mem []byte, base, addr, n uint64) (part []byte, ok bool) {
	off := addr - base // wraps around below base, and is too large then
	if size := uint64(len(mem)); off > size || n > size-off {
		return nil, false
	}
	return mem[off:][:n:n], true
}

// CheckRegistrable is an error if mem is not mapped in a way that access needs.
// Memory that is only readable will do for what is sent or read by peers. What happens
// to the mapping later, nobody tells: that is an error of the request that runs into it.
func CheckRegistrable(mem []byte, access transport.Access) error {
	if err := pages.Check(mem, access&(transport.RemoteWrite|transport.RemoteAtomic) != 0); err != nil {
		return fmt.Errorf("%w: %w, and access %v needs that", transport.ErrInvalid, err, access)
	}
	return nil
}

// Random32 is a number that cannot be guessed from others: a key, say.
func Random32() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.NativeEndian.Uint32(b[:])
}
