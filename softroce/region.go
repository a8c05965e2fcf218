package softroce

import (
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// domain is a protection domain. Memory is accessed under the engine lock, and
// looked up each time: after Revoke it is not found.
type domain struct{ *provider.Domain }

// NewPD implements transport.Adapter.
func (a *Adapter) NewPD() (transport.PD, error) {
	return domain{provider.NewDomain(a.engine, &a.open)}, nil
}

// Alloc implements transport.PD.
func (d domain) Alloc(size int, access transport.Access) (transport.MR, error) {
	// Never from the heap: the race detector does not know that what is received was
	// sent before, and would see races between two ends in one process.
	mem, free, err := pages.Map(size)
	if err != nil {
		return nil, err
	}
	return d.Add(mem, access, free)
}

// Remote implements rc.Memory.
func (d domain) Remote(key uint32, va uint64, n uint32, need transport.Access) ([]byte, bool) {
	mem, err := d.Domain.Remote(transport.RKey(key), va, uint64(n), need)
	return mem, err == nil
}
