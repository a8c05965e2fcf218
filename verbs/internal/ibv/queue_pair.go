//go:build cgo && linux

package ibv

// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"syscall"
)

// QP is a queue pair of type RC, which completes only what is signaled.
type QP struct {
	QPN         uint32
	SendDepth   int // granted: at least what was asked for
	RecvDepth   int
	InlineBytes int

	qp *C.struct_abi_qp // nil when closed
	pd *PD
}

// NewQP makes a queue pair in the state Reset.
func (p *PD) NewQP(init QPInit) (*QP, error) {
	for _, n := range []int{init.SendDepth, init.RecvDepth, init.SGEs, init.InlineBytes} {
		if n < 0 || n > math.MaxInt32 {
			return nil, fmt.Errorf("ibv_create_qp with a limit of %d: %w", n, syscall.EINVAL)
		}
	}
	i := C.struct_shim_qp_init{
		send_cq: init.SendCQ.cq,
		recv_cq: init.RecvCQ.cq,
		cap: C.struct_abi_qp_cap{
			max_send_wr:     C.uint32_t(init.SendDepth),
			max_recv_wr:     C.uint32_t(init.RecvDepth),
			max_send_sge:    C.uint32_t(init.SGEs),
			max_recv_sge:    C.uint32_t(init.SGEs),
			max_inline_data: C.uint32_t(init.InlineBytes),
		},
	}
	if init.SRQ != nil {
		i.srq = init.SRQ.srq
		i.cap.max_recv_wr, i.cap.max_recv_sge = 0, 0
	}
	qp, err := C.shim_create_qp(p.context.library.calls, p.pd, &i)
	if qp == nil {
		return nil, noPinned(err, "ibv_create_qp for %d sends and %d receives of %d spans, %d bytes inline, on %s",
			init.SendDepth, init.RecvDepth, init.SGEs, init.InlineBytes, p.context.name)
	}
	p.context.open.Add(1)
	return &QP{
		QPN:         uint32(C.shim_qp_num(qp)),
		SendDepth:   int(i.cap.max_send_wr),
		RecvDepth:   int(i.cap.max_recv_wr),
		InlineBytes: int(i.cap.max_inline_data),
		qp:          qp,
		pd:          p,
	}, nil
}

// Close destroys the queue pair. What is outstanding does not complete: go to the
// error state and poll it all first.
func (q *QP) Close() error {
	if q.qp == nil {
		return nil
	}
	if errno := C.shim_destroy_qp(q.pd.context.library.calls, q.qp); errno != 0 {
		return failed(syscall.Errno(errno), "ibv_destroy_qp of %d on %s", q.QPN, q.pd.context.name)
	}
	q.qp = nil
	q.pd.context.open.Add(-1)
	return nil
}
