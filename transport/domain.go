package transport

import (
	"fmt"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/handle"
)

// ProtectionDomain groups regions with the connections that may use them. Every
// region of a domain is within reach of every peer that is connected through
// it, as far as the region's Access goes: give each tenant a domain of its own.
type ProtectionDomain struct {
	dev *Device
	pd  PD

	regions handle.Table[Region] // by Span.lkey
	closed  atomic.Bool
}

// NewProtectionDomain makes a protection domain.
func (d *Device) NewProtectionDomain() (*ProtectionDomain, error) {
	const op = "new protection domain"
	pd, err := d.adapter.NewPD()
	if err != nil {
		return nil, d.opError(op, ScopeRequest, err)
	}
	p := &ProtectionDomain{dev: d, pd: pd}
	if err := d.track(p); err != nil {
		pd.Close()
		return nil, d.opError(op, ScopeRequest, err)
	}
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
	mr, err := p.pd.Alloc(size, access)
	if err != nil {
		return nil, p.dev.opError(op, ScopeRequest, err)
	}
	return p.add(op, mr, access)
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
	mr, err := r.Register(mem, access)
	if err != nil {
		return nil, p.dev.opError(op, ScopeRequest, err)
	}
	return p.add(op, mr, access)
}

func (p *ProtectionDomain) add(op string, mr MR, access Access) (*Region, error) {
	mem := mr.Bytes()
	r := &Region{pd: p, mr: mr, mem: mem, base: addressOf(mem), mrKey: mr.LKey(), access: access}
	err := p.enter(r)
	if err == nil {
		if err = p.dev.track(r); err != nil {
			p.leave(r)
		}
	}
	if err != nil {
		mr.Revoke()
		mr.Close()
		return nil, p.dev.opError(op, ScopeRequest, err)
	}
	return r, nil
}

// enter gives the region a handle.
func (p *ProtectionDomain) enter(r *Region) error {
	if p.closed.Load() {
		return ErrClosed
	}
	h, err := p.regions.Add(r, 0)
	if err != nil {
		return fmt.Errorf("%w: a protection domain holds at most %d regions", ErrOutOfRange, handle.Max)
	}
	r.handle = h
	return nil
}

// leave takes the region's handle back, and reports whether it had one.
func (p *ProtectionDomain) leave(r *Region) bool { return p.regions.Remove(r.handle) }

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
func (p *ProtectionDomain) Close() error {
	if !p.closed.CompareAndSwap(false, true) {
		return nil
	}
	for _, r := range p.regions.All() {
		r.Close()
	}
	p.dev.untrack(p)
	return p.pd.Close()
}

func (p *ProtectionDomain) describe() string { return "protection domain" }
func (p *ProtectionDomain) closeRank() int   { return rankDomain }
