//go:build cgo && linux

package ibv

// #cgo noescape shim_post_srq_recv
// #cgo nocallback shim_post_srq_recv
// #include "shim.h"
import "C"

import (
	"fmt"
	"syscall"

	"github.com/rfaas-go/rfaas/transport"
)

// SRQ is a shared receive queue.
type SRQ struct {
	srq *C.struct_abi_srq // nil when closed
	pd  *PD
}

// NewSRQ makes a shared receive queue for at least depth receives of up to sges
// spans.
func (p *PD) NewSRQ(depth, sges int) (*SRQ, error) {
	if depth < 1 || depth > 1<<30 || sges < 1 || sges > 1<<16 {
		return nil, fmt.Errorf("ibv_create_srq with %d receives of %d spans: %w", depth, sges, syscall.EINVAL)
	}
	attr := C.struct_abi_srq_attr{max_wr: C.uint32_t(depth), max_sge: C.uint32_t(sges)}
	srq, err := C.shim_create_srq(p.context.library.calls, p.pd, &attr)
	if srq == nil {
		return nil, noPinned(err, "ibv_create_srq with %d receives of %d spans on %s", depth, sges, p.context.name)
	}
	p.context.open.Add(1)
	return &SRQ{srq, p}, nil
}

// PostRecv is as QP.PostRecv.
func (s *SRQ) PostRecv(wrs []transport.WorkRequest, first uint64) (n int, err error) {
	posted := C.shim_post_srq_recv(s.srq, requests(wrs), C.uint32_t(len(wrs)), C.uint64_t(first))
	if posted.error != 0 {
		return int(posted.accepted), notPosted("ibv_post_srq_recv", posted, wrs)
	}
	return int(posted.accepted), nil
}

// Close destroys the queue.
func (s *SRQ) Close() error {
	if s.srq == nil {
		return nil
	}
	if errno := C.shim_destroy_srq(s.pd.context.library.calls, s.srq); errno != 0 {
		return failed(syscall.Errno(errno), "ibv_destroy_srq on %s", s.pd.context.name)
	}
	s.srq = nil
	s.pd.context.open.Add(-1)
	return nil
}
