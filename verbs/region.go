package verbs

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// domain is a protection domain.
type domain struct {
	adapter *Adapter
	pd      *ibv.PD
	regions atomic.Int64

	mu     sync.Mutex
	pairs  int // queue pairs of the device, including closed ones that were not yet polled empty
	closed bool
}

// NewPD implements transport.Adapter.
func (a *Adapter) NewPD() (transport.PD, error) {
	pd, err := a.context.AllocPD()
	if err != nil {
		return nil, err
	}
	a.open.Opened("protection domain")
	return &domain{adapter: a, pd: pd}, nil
}

// Close implements transport.PD. Queue pairs that were closed may still have
// completions to be polled: then the device's domain is freed with the last.
func (d *domain) Close() error {
	if n := d.regions.Load(); n > 0 {
		return fmt.Errorf("verbs: protection domain closed with %d regions open", n)
	}
	d.adapter.open.Closed("protection domain")
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return d.free()
}

// free frees the device's domain when nothing uses it any more. The caller holds mu.
func (d *domain) free() error {
	if !d.closed || d.pairs > 0 { // the device would refuse; the last queue pair frees it
		return nil
	}
	return d.pd.Close()
}

// newQP makes a queue pair of the device.
func (d *domain) newQP(init ibv.QPInit) (*ibv.QP, error) {
	qp, err := d.pd.NewQP(init)
	if err == nil {
		d.mu.Lock()
		d.pairs++
		d.mu.Unlock()
	}
	return qp, err
}

// closeQP ends one.
func (d *domain) closeQP(qp *ibv.QP) error {
	if err := qp.Close(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pairs--
	return d.free()
}

// region is a memory region.
type region struct {
	domain *domain
	mem    []byte
	mr     *ibv.MR
	free   func() error // nil: the memory is the caller's

	revoking sync.Once
	err      error // of deregistration
}

// Alloc implements transport.PD.
func (d *domain) Alloc(size int, access transport.Access) (transport.MR, error) {
	mem, free, err := pages.Map(size)
	if err != nil {
		return nil, err
	}
	r, err := d.register(mem, access, free)
	if err != nil {
		free()
	}
	return r, err
}

// Register implements transport.Registrar.
func (d *domain) Register(mem []byte, access transport.Access) (transport.MR, error) {
	return d.register(mem, access, nil)
}

func (d *domain) register(mem []byte, access transport.Access, free func() error) (transport.MR, error) {
	mr, err := d.pd.RegMR(mem, accessFlags(access))
	if err != nil {
		return nil, err
	}
	d.regions.Add(1)
	return &region{domain: d, mem: mem, mr: mr, free: free}, nil
}

func accessFlags(a transport.Access) int {
	flags := ibv.AccessLocalWrite // any region may take receives and the results of reads
	if a&transport.RemoteRead != 0 {
		flags |= ibv.AccessRemoteRead
	}
	if a&transport.RemoteWrite != 0 {
		flags |= ibv.AccessRemoteWrite
	}
	if a&transport.RemoteAtomic != 0 {
		flags |= ibv.AccessRemoteAtomic
	}
	return flags
}

// Bytes implements transport.MR.
func (r *region) Bytes() []byte { return r.mem }

// LKey implements transport.MR.
func (r *region) LKey() uint32 { return r.mr.LKey }

// RKey implements transport.MR.
func (r *region) RKey() transport.RKey { return transport.RKey(r.mr.RKey) }

// Revoke implements transport.MR. When deregistration returns, the device is done
// with the memory.
func (r *region) Revoke() {
	r.revoking.Do(func() {
		if r.err = r.mr.Close(); r.err == nil {
			r.domain.regions.Add(-1)
		}
	})
}

// Close implements transport.MR. Memory that could not be deregistered is not freed.
func (r *region) Close() error {
	if r.Revoke(); r.err != nil || r.free == nil {
		return r.err
	}
	return r.free()
}
