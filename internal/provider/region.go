package provider

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/handle"
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/transport"
)

// Domain is a protection domain: its regions, by key. It implements
// transport.Registrar, and transport.PD except Alloc.
//
// The lock is the provider's. It is held while a region is added or revoked. A goroutine
// that holds it, shared or not, from look-up to access touches no revoked region.
type Domain struct {
	lock    sync.Locker
	account *Account
	byLKey  handle.Table[region]
	byRKey  map[transport.RKey]*region
	last    atomic.Pointer[region] // found by Remote
}

// NewDomain makes a domain that enters itself and its regions into the account.
func NewDomain(lock sync.Locker, account *Account) *Domain {
	account.Opened("protection domain")
	return &Domain{lock: lock, account: account, byRKey: map[transport.RKey]*region{}}
}

// Close implements transport.PD.
func (d *Domain) Close() error {
	if left := len(d.byLKey.All()); left > 0 {
		return fmt.Errorf("%s: protection domain closed with %d regions open", d.account.Provider, left)
	}
	d.account.Closed("protection domain")
	return nil
}

// region is a memory region.
type region struct {
	domain *Domain
	mem    []byte
	base   uint64
	access transport.Access
	lkey   uint32
	rkey   transport.RKey
	free   func() error // nil: the memory is the program's
}

// Register implements transport.Registrar. Memory that is only readable will do for
// what is sent or read by peers. A later change of the mapping is not noticed: a
// request that meets it fails.
func (d *Domain) Register(mem []byte, access transport.Access) (transport.MR, error) {
	if err := pages.Check(mem, access&(transport.RemoteWrite|transport.RemoteAtomic) != 0); err != nil {
		return nil, fmt.Errorf("%w: %w, and access %v needs that", transport.ErrInvalid, err, access)
	}
	return d.Add(mem, access, nil)
}

// Add registers memory that the provider has made. The region's Close frees it; so
// does Add when it fails.
func (d *Domain) Add(mem []byte, access transport.Access, free func() error) (_ transport.MR, err error) {
	r := &region{domain: d, mem: mem, base: pages.Address(mem), access: access, free: free}
	d.lock.Lock()
	defer d.lock.Unlock()
	if r.lkey, err = d.byLKey.Add(r, 0); err != nil {
		r.Close()
		return nil, fmt.Errorf("%w: a protection domain holds at most %d regions", transport.ErrOutOfRange, handle.Max)
	}
	for r.rkey == 0 || d.byRKey[r.rkey] != nil {
		r.rkey = transport.RKey(Random32())
	}
	d.byRKey[r.rkey] = r
	d.account.Opened("memory region")
	return r, nil
}

// Bytes implements transport.MR.
func (r *region) Bytes() []byte { return r.mem }

// LKey implements transport.MR.
func (r *region) LKey() uint32 { return r.lkey }

// RKey implements transport.MR.
func (r *region) RKey() transport.RKey { return r.rkey }

// Revoke implements transport.MR.
func (r *region) Revoke() {
	d := r.domain
	d.lock.Lock()
	defer d.lock.Unlock()
	if d.byLKey.Remove(r.lkey) {
		delete(d.byRKey, r.rkey)
		d.last.CompareAndSwap(r, nil)
		d.account.Closed("memory region")
	}
}

// Close implements transport.MR.
func (r *region) Close() error {
	if r.free == nil {
		return nil
	}
	return r.free()
}

// Local is the memory of a span. ok is false when its region was closed. It may be
// called without the lock.
func (d *Domain) Local(s transport.Span) (mem []byte, ok bool) {
	r := d.byLKey.Get(s.LKey())
	if r == nil {
		return nil, false
	}
	return Within(r.mem, r.base, s.Addr(), uint64(s.Len()))
}

// Remote is the n bytes at addr that a request of the peer names by a region's
// key, if the region grants need. The lock is held, perhaps shared.
func (d *Domain) Remote(key transport.RKey, addr, n uint64, need transport.Access) ([]byte, error) {
	r := d.last.Load()
	if r == nil || r.rkey != key {
		if r = d.byRKey[key]; r == nil {
			return nil, fmt.Errorf("rkey %#x names no region, or one that was closed", key)
		}
		d.last.Store(r)
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
	return mem[off : off+n], true
}

// Random32 is an unpredictable number, for keys.
func Random32() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.NativeEndian.Uint32(b[:])
}
