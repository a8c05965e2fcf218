package loopback

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/transport"
)

// domain is a protection domain. Its lock is held for reading while requests
// run that may touch its regions, and for writing while a region comes or goes:
// a region that was revoked is not touched any more.
type domain struct {
	adapter *adapter
	seq     uint64 // in which order domains are locked

	mu       sync.RWMutex
	byLKey   map[uint32]*region
	byRKey   map[transport.RKey]*region
	lastLKey uint32
}

var lastDomain atomic.Uint64

func (a *adapter) NewPD() (transport.PD, error) {
	if err := a.opened("protection domain"); err != nil {
		return nil, err
	}
	return &domain{
		adapter: a, seq: lastDomain.Add(1),
		byLKey: map[uint32]*region{}, byRKey: map[transport.RKey]*region{},
	}, nil
}

func (d *domain) Close() error {
	d.mu.RLock()
	left := len(d.byLKey)
	d.mu.RUnlock()
	if left > 0 {
		return fmt.Errorf("loopback: protection domain closed with %d regions open", left)
	}
	d.adapter.gone("protection domain")
	return nil
}

// region is a memory region.
type region struct {
	domain *domain
	mem    []byte
	base   uint64
	access transport.Access
	lkey   uint32
	rkey   transport.RKey
	free   func() error // nil: the memory is the caller's
}

func (d *domain) Alloc(size int, access transport.Access) (transport.MR, error) {
	mem, free, err := pages.Alloc(size)
	if err != nil {
		return nil, fmt.Errorf("loopback: %w", err)
	}
	r, err := d.add(mem, access, free)
	if err != nil {
		free()
		return nil, err
	}
	return r, nil
}

// Register implements transport.Registrar. Memory that is only readable will do for
// what is sent or read by peers. What happens to the mapping later, nobody tells:
// that is an error of the request that runs into it.
func (d *domain) Register(mem []byte, access transport.Access) (transport.MR, error) {
	if err := pages.Check(mem, access&(transport.RemoteWrite|transport.RemoteAtomic) != 0); err != nil {
		return nil, fmt.Errorf("%w: %w, and access %v needs that", transport.ErrInvalid, err, access)
	}
	return d.add(mem, access, nil)
}

func (d *domain) add(mem []byte, access transport.Access, free func() error) (transport.MR, error) {
	if err := d.adapter.opened("memory region"); err != nil {
		return nil, err
	}
	r := &region{domain: d, mem: mem, base: pages.Address(mem), access: access, free: free}
	d.mu.Lock()
	defer d.mu.Unlock()
	for r.lkey == 0 || d.byLKey[r.lkey] != nil {
		d.lastLKey++
		r.lkey = d.lastLKey
	}
	for r.rkey == 0 || d.byRKey[r.rkey] != nil {
		r.rkey = randomKey()
	}
	d.byLKey[r.lkey], d.byRKey[r.rkey] = r, r
	return r, nil
}

// randomKey makes a key that cannot be guessed from others.
func randomKey() transport.RKey {
	var b [4]byte
	rand.Read(b[:])
	return transport.RKey(binary.NativeEndian.Uint32(b[:]))
}

func (r *region) Bytes() []byte        { return r.mem }
func (r *region) LKey() uint32         { return r.lkey }
func (r *region) RKey() transport.RKey { return r.rkey }

func (r *region) Revoke() {
	d := r.domain
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byLKey[r.lkey] == r {
		delete(d.byLKey, r.lkey)
		delete(d.byRKey, r.rkey)
		d.adapter.gone("memory region")
	}
}

func (r *region) Close() error {
	r.Revoke()
	if r.free == nil {
		return nil
	}
	return r.free()
}

// slice is the n bytes at addr, nil when they are not all within the region.
func (r *region) slice(addr, n uint64) []byte {
	size := uint64(len(r.mem))
	if addr < r.base || addr-r.base > size || n > size-(addr-r.base) {
		return nil
	}
	return r.mem[addr-r.base:][:n:n]
}

// segments is the memory of a request: up to two pieces, either may be empty.
type segments [2][]byte

// local finds the memory that a request names on its own side. ok is false when
// a region of it is closed. The domain is locked.
func (d *domain) local(wr *transport.WorkRequest) (s segments, ok bool) {
	for i, span := range [2]transport.Span{wr.Local, wr.Second()} {
		if span.Len() == 0 {
			continue
		}
		r := d.byLKey[span.LKey()]
		if r == nil {
			return s, false
		}
		if s[i] = r.slice(span.Addr(), uint64(span.Len())); s[i] == nil {
			return s, false
		}
	}
	return s, true
}

// remote finds the first n > 0 bytes of what a request of the peer's names, and
// checks its right to them. The domain is locked.
func (d *domain) remote(span transport.RemoteSpan, n uint64, need transport.Access) ([]byte, error) {
	r := d.byRKey[span.Key]
	if r == nil {
		return nil, fmt.Errorf("rkey %#x names no region, or one that was closed", span.Key)
	}
	mem := r.slice(span.Addr, n)
	if mem == nil {
		return nil, fmt.Errorf("%d bytes at %#x are not within the region of %d bytes at %#x", n, span.Addr, len(r.mem), r.base)
	}
	if r.access&need == 0 {
		return nil, fmt.Errorf("the region grants %v, not %v", r.access, need)
	}
	return mem, nil
}
