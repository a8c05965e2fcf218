package loopback

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// domain is a protection domain. Its lock is held for reading while requests
// run that may touch its regions, and for writing while a region comes or goes:
// a region that was revoked is not touched any more.
type domain struct {
	adapter *adapter
	seq     uint64 // in which order domains are locked

	mu      sync.RWMutex
	regions provider.Regions
}

var lastDomain atomic.Uint64

func (a *adapter) NewPD() (transport.PD, error) {
	a.open.Opened("protection domain")
	return &domain{adapter: a, seq: lastDomain.Add(1)}, nil
}

func (d *domain) Close() error {
	if left := d.regions.Len(); left > 0 {
		return fmt.Errorf("loopback: protection domain closed with %d regions open", left)
	}
	d.adapter.open.Closed("protection domain")
	return nil
}

// region is a memory region.
type region struct {
	*provider.Region
	domain *domain
}

func (d *domain) Alloc(size int, access transport.Access) (transport.MR, error) {
	mem, free, err := pages.Alloc(size)
	if err != nil {
		return nil, fmt.Errorf("loopback: %w", err)
	}
	return d.add(provider.NewRegion(mem, access, free))
}

// Register implements transport.Registrar.
func (d *domain) Register(mem []byte, access transport.Access) (transport.MR, error) {
	if err := provider.CheckRegistrable(mem, access); err != nil {
		return nil, err
	}
	return d.add(provider.NewRegion(mem, access, nil))
}

func (d *domain) add(r *provider.Region) (transport.MR, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.regions.Add(r); err != nil {
		return nil, err
	}
	d.adapter.open.Opened("memory region")
	return &region{Region: r, domain: d}, nil
}

func (r *region) Revoke() {
	d := r.domain
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.regions.Remove(r.Region) {
		d.adapter.open.Closed("memory region")
	}
}

func (r *region) Close() error {
	r.Revoke()
	return r.Region.Close()
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
		if s[i], ok = d.regions.Local(span); !ok {
			return s, false
		}
	}
	return s, true
}

// remote finds the first n > 0 bytes of what a request of the peer's names, and
// checks its right to them. The domain is locked.
func (d *domain) remote(span transport.RemoteSpan, n uint64, need transport.Access) ([]byte, error) {
	return d.regions.Remote(span.Key, span.Addr, n, need)
}
