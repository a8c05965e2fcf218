package softroce

import (
	"fmt"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// domain is a protection domain. The engine lock guards the regions.
type domain struct {
	engine  *engine
	regions provider.Regions
}

// NewPD implements transport.Adapter.
func (a *Adapter) NewPD() (transport.PD, error) {
	a.open.Opened("protection domain")
	return &domain{engine: a.engine}, nil
}

// Close implements transport.PD.
func (d *domain) Close() error {
	if n := d.regions.Len(); n > 0 {
		return fmt.Errorf("softroce: protection domain closed with %d regions open", n)
	}
	d.engine.adapter.open.Closed("protection domain")
	return nil
}

// region is a memory region.
type region struct {
	*provider.Region
	domain *domain
}

// Alloc implements transport.PD.
func (d *domain) Alloc(size int, access transport.Access) (transport.MR, error) {
	// Never from the heap: the race detector does not know that what is received was
	// sent before, and would see races between two ends in one process.
	mem, free, err := pages.Map(size)
	if err != nil {
		return nil, err
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
	d.engine.lock.Lock()
	defer d.engine.release()
	if err := d.regions.Add(r); err != nil {
		return nil, err
	}
	d.engine.adapter.open.Opened("memory region")
	return &region{Region: r, domain: d}, nil
}

// Revoke implements transport.MR. Memory is touched by whoever has the engine lock,
// and looked up each time: nobody who gets the lock later finds it.
func (r *region) Revoke() {
	d := r.domain
	d.engine.lock.Lock()
	defer d.engine.release()
	if d.regions.Remove(r.Region) {
		d.engine.adapter.open.Closed("memory region")
	}
}

// Local implements rc.Memory.
func (d *domain) Local(s transport.Span) ([]byte, bool) { return d.regions.Local(s) }

// Remote implements rc.Memory.
func (d *domain) Remote(key uint32, va uint64, n uint32, need transport.Access) ([]byte, bool) {
	mem, err := d.regions.Remote(transport.RKey(key), va, uint64(n), need)
	return mem, err == nil
}
