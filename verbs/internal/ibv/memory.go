//go:build cgo && linux

package ibv

// #include "shim.h"
import "C"

import (
	"syscall"
	"unsafe"
)

// PD is a protection domain. Its methods may be called concurrently.
type PD struct {
	context *Context
	pd      *C.struct_abi_pd // nil when closed
}

// AllocPD makes a protection domain.
func (c *Context) AllocPD() (*PD, error) {
	pd, err := C.shim_alloc_pd(c.library.calls, c.ctx)
	if pd == nil {
		return nil, noObject(err, "ibv_alloc_pd on %s", c.name)
	}
	c.open.Add(1)
	return &PD{c, pd}, nil
}

// Close frees the protection domain.
func (p *PD) Close() error {
	if p.pd == nil {
		return nil
	}
	if errno := C.shim_dealloc_pd(p.context.library.calls, p.pd); errno != 0 {
		return failed(syscall.Errno(errno), "ibv_dealloc_pd on %s", p.context.name)
	}
	p.pd = nil
	p.context.open.Add(-1)
	return nil
}

// MR is a registered memory region.
type MR struct {
	LKey, RKey uint32

	pd  *PD
	mr  *C.struct_abi_mr // nil when closed
	mem []byte
}

// RegMR registers memory for access, a sum of Access constants. mem must not be
// Go heap; it stays the caller's and has to exist until Close has returned.
func (p *PD) RegMR(mem []byte, access int) (*MR, error) {
	mr, err := C.shim_reg_mr(p.context.library.calls, p.pd, unsafe.Pointer(unsafe.SliceData(mem)), C.size_t(len(mem)), C.int(access))
	if mr == nil {
		return nil, noPinned(err, "ibv_reg_mr of %d bytes", len(mem))
	}
	var lkey, rkey C.uint32_t
	C.shim_mr_keys(mr, &lkey, &rkey)
	p.context.open.Add(1)
	return &MR{LKey: uint32(lkey), RKey: uint32(rkey), pd: p, mr: mr, mem: mem}, nil
}

// Close ends the registration: the device no longer touches the memory.
func (m *MR) Close() error {
	if m.mr == nil {
		return nil
	}
	if errno := C.shim_dereg_mr(m.pd.context.library.calls, m.mr); errno != 0 {
		return failed(syscall.Errno(errno), "ibv_dereg_mr of %d bytes", len(m.mem))
	}
	m.mr, m.mem = nil, nil
	m.pd.context.open.Add(-1)
	return nil
}
