package transport

import (
	"fmt"
	"sync"

	"github.com/rfaas-go/rfaas/internal/handle"
)

// ProtectionDomain groups regions with the connections that may use them. Every
// peer connected through a domain can use all its regions, as far as their
// Access allows: give each tenant a domain of its own.
type ProtectionDomain struct {
	dev *Device
	pd  PD

	regions handle.Table[Region] // by Span.lkey

	mu      sync.RWMutex // held for reading while a region is made
	closed  bool
	closing sync.Once
	granted sync.WaitGroup // regions that are not revoked yet
}

// NewProtectionDomain makes a protection domain.
func (d *Device) NewProtectionDomain() (*ProtectionDomain, error) {
	const op = "new protection domain"
	if err := d.begin(); err != nil {
		return nil, d.opError(op, ScopeDevice, err)
	}
	defer d.end()
	pd, err := d.adapter.NewPD()
	if err != nil {
		return nil, d.opError(op, ScopeRequest, err)
	}
	p := &ProtectionDomain{dev: d, pd: pd}
	d.track(p)
	return p, nil
}

// Device is the device that the domain belongs to.
func (p *ProtectionDomain) Device() *Device { return p.dev }

// Alloc makes a region of size bytes of zeroed, page-aligned memory outside the
// Go heap. The memory belongs to the region, and lives until Close.
func (p *ProtectionDomain) Alloc(size int, access Access) (*Region, error) {
	op := fmt.Sprintf("alloc %d bytes", size)
	if size <= 0 {
		return nil, p.dev.opError(op, ScopeRequest, fmt.Errorf("%w: a region has at least one byte", ErrInvalid))
	}
	return p.newRegion(op, access, func() (MR, error) { return p.pd.Alloc(size, access) })
}

// Register makes a region of existing memory, which must not be Go heap: the
// peer or the device writes it behind the garbage collector's back. It remains
// the caller's, who must keep it mapped until Region.Close has returned. Needs
// FeatureRegister.
func (p *ProtectionDomain) Register(mem []byte, access Access) (*Region, error) {
	op := fmt.Sprintf("register %d bytes", len(mem))
	r, ok := p.pd.(Registrar)
	if !ok || !p.dev.caps.Features.Has(FeatureRegister) {
		return nil, p.dev.opError(op, ScopeRequest, fmt.Errorf("%w: peers of this provider cannot reach memory that it did not allocate; use Alloc", ErrNotSupported))
	}
	if len(mem) == 0 {
		return nil, p.dev.opError(op, ScopeRequest, fmt.Errorf("%w: a region has at least one byte", ErrInvalid))
	}
	return p.newRegion(op, access, func() (MR, error) { return r.Register(mem, access) })
}

// Share makes a region of the memory of another region of the device, whose domain may be
// another one: so several peers can be given the same memory, and each of them nothing else.
// It grants RemoteRead or LocalOnly: a peer that was stopped in the middle of a write would go
// on in memory that others use. r grants no more itself: over shm a hostile peer could write
// to others all the same. Closing r closes what was shared of it, too. After Close
// of a shared one alone, its peer may read on for a moment.
func (p *ProtectionDomain) Share(r *Region, access Access) (*Region, error) {
	op := fmt.Sprintf("share a region of %d bytes", len(r.mem))
	sharer, shares := p.pd.(Sharer)
	registrar, registers := p.pd.(Registrar)
	switch {
	case access&^RemoteRead != 0:
		return nil, p.dev.opError(op, ScopeRequest, fmt.Errorf("%w: access %v: memory is shared for reading only", ErrInvalid, access))
	case r.access&^RemoteRead != 0:
		return nil, p.dev.opError(op, ScopeRequest, fmt.Errorf("%w: it grants %v itself, and memory is shared for reading only", ErrInvalid, r.access))
	case r.pd.dev != p.dev:
		return nil, p.dev.opError(op, ScopeRequest, fmt.Errorf("%w: it is of another device", ErrInvalid))
	case !shares && !(registers && p.dev.caps.Features.Has(FeatureRegister)):
		return nil, p.dev.opError(op, ScopeRequest, fmt.Errorf("%w: this provider has memory in one domain only", ErrNotSupported))
	}
	r.sharing.Lock()
	defer r.sharing.Unlock()
	if r.ending {
		return nil, p.dev.opError(op, ScopeRequest, ErrClosed)
	}
	r.holds.Add(oneHold)
	same, err := p.newRegion(op, access, func() (MR, error) {
		if shares {
			return sharer.Share(r.mr, access)
		}
		return registrar.Register(r.mem, access)
	})
	if err != nil {
		r.Release()
		return nil, err
	}
	same.of = r
	if r.shares == nil {
		r.shares = map[*Region]struct{}{}
	}
	r.shares[same] = struct{}{}
	return same, nil
}

// newRegion makes a region of the MR that make returns, and gives it a handle.
func (p *ProtectionDomain) newRegion(op string, access Access, make func() (MR, error)) (*Region, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	err := p.dev.begin()
	if err != nil {
		return nil, p.dev.opError(op, ScopeDevice, err)
	}
	defer p.dev.end()
	if p.closed {
		return nil, p.dev.opError(op, ScopeRequest, ErrClosed)
	}
	mr, err := make()
	if err != nil {
		return nil, p.dev.opError(op, ScopeRequest, err)
	}
	mem := mr.Bytes()
	r := &Region{pd: p, mr: mr, mem: mem, base: addressOf(mem), mrKey: mr.LKey(), access: access}
	r.handle, err = p.regions.Add(r, 0)
	if err != nil {
		mr.Revoke()
		mr.Close()
		return nil, p.dev.opError(op, ScopeRequest, fmt.Errorf("%w: a protection domain holds at most %d regions", ErrOutOfRange, handle.Max))
	}
	p.granted.Add(1)
	p.dev.track(r)
	return r, nil
}

// resolve translates a span's key from the front's handle to the provider's. It
// fails when the span's region is closed or belongs to another domain.
func (p *ProtectionDomain) resolve(s *Span) bool {
	if s.lkey == 0 {
		return s.len == 0
	}
	r := p.regions.Get(s.lkey)
	if r == nil || s.addr < r.base || s.addr+uint64(s.len) > r.base+uint64(len(r.mem)) {
		return false
	}
	s.lkey = r.mrKey
	return true
}

// Close closes the domain and what is left of its regions. Connections through
// it have to be closed before.
func (p *ProtectionDomain) Close() (err error) {
	p.closing.Do(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		for _, r := range p.regions.All() {
			r.Close()
		}
		p.granted.Wait() // for those that another goroutine is closing
		err = p.pd.Close()
		p.dev.untrack(p)
	})
	return err
}

func (p *ProtectionDomain) describe() string { return "protection domain" }
func (p *ProtectionDomain) closeRank() int   { return rankDomain }
