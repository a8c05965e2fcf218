package softroce

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/rfaas-go/rfaas/internal/handle"
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/transport"
)

// domain is a protection domain.
type domain struct {
	engine *engine
	byLKey handle.Table[region]

	// By whoever has the engine's turn.
	byRKey   map[transport.RKey]*region
	lastUsed *region // by a peer
}

// NewPD implements transport.Adapter.
func (a *Adapter) NewPD() (transport.PD, error) {
	a.open.Add(1)
	return &domain{engine: a.engine, byRKey: map[transport.RKey]*region{}}, nil
}

// Close implements transport.PD.
func (d *domain) Close() error {
	if n := len(d.byLKey.All()); n > 0 {
		return fmt.Errorf("softroce: protection domain closed with %d regions open", n)
	}
	d.engine.adapter.open.Add(-1)
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

// Alloc implements transport.PD.
func (d *domain) Alloc(size int, access transport.Access) (transport.MR, error) {
	// Never from the heap: the race detector does not know that what is received was
	// sent before, and would see races between two ends in one process.
	mem, free, err := pages.Map(size)
	if err != nil {
		return nil, err
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
	r := &region{domain: d, mem: mem, base: pages.Address(mem), access: access, free: free}
	var err error
	if r.lkey, err = d.byLKey.Add(r, 0); err != nil {
		return nil, fmt.Errorf("%w: a protection domain holds at most %d regions", transport.ErrOutOfRange, handle.Max)
	}
	d.engine.turn.take()
	defer d.engine.release()
	for r.rkey == 0 || d.byRKey[r.rkey] != nil {
		r.rkey = transport.RKey(random32())
	}
	d.byRKey[r.rkey] = r
	d.engine.adapter.open.Add(1)
	return r, nil
}

// random32 is a number that cannot be guessed: packets are not authenticated, and
// keys, queue pair numbers and sequence numbers are all that a stranger lacks.
func random32() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.NativeEndian.Uint32(b[:])
}

// Bytes implements transport.MR.
func (r *region) Bytes() []byte { return r.mem }

// LKey implements transport.MR.
func (r *region) LKey() uint32 { return r.lkey }

// RKey implements transport.MR.
func (r *region) RKey() transport.RKey { return r.rkey }

// Revoke implements transport.MR. Memory is touched by whoever has the engine's
// turn, and looked up each time: nobody who gets the turn later finds it.
func (r *region) Revoke() {
	d := r.domain
	d.engine.turn.take()
	defer d.engine.release()
	if !d.byLKey.Remove(r.lkey) {
		return
	}
	delete(d.byRKey, r.rkey)
	if d.lastUsed == r {
		d.lastUsed = nil
	}
	d.engine.adapter.open.Add(-1)
}

// Close implements transport.MR.
func (r *region) Close() error {
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

// Local implements rc.Memory.
func (d *domain) Local(s transport.Span) ([]byte, bool) {
	r := d.byLKey.Get(s.LKey())
	if r == nil {
		return nil, false
	}
	mem := r.slice(s.Addr(), uint64(s.Len()))
	return mem, mem != nil
}

// Remote implements rc.Memory.
func (d *domain) Remote(key uint32, va uint64, n uint32, need transport.Access) ([]byte, bool) {
	r := d.lastUsed
	if r == nil || r.rkey != transport.RKey(key) {
		if r = d.byRKey[transport.RKey(key)]; r == nil {
			return nil, false
		}
		d.lastUsed = r
	}
	if r.access&need != need {
		return nil, false
	}
	mem := r.slice(va, uint64(n))
	return mem, mem != nil
}
