//go:build cgo && linux

package ibv

// #cgo noescape shim_poll_cq
// #cgo nocallback shim_poll_cq
// #cgo noescape shim_req_notify_cq
// #cgo nocallback shim_req_notify_cq
// #include "shim.h"
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"
)

// A WC is handed to C as it is.
var _ [0]struct{} = [unsafe.Sizeof(WC{}) - C.sizeof_struct_abi_wc]struct{}{}

// CQ is a completion queue.
type CQ struct {
	cq      *C.struct_abi_cq // nil when closed
	context *Context
	channel *Channel // or nil
}

// NewCQ makes a completion queue for at least depth completions. ch may be nil:
// then the queue cannot be armed.
func (c *Context) NewCQ(depth int, ch *Channel) (*CQ, error) {
	if depth < 1 || depth > 1<<30 {
		return nil, fmt.Errorf("ibv_create_cq with %d entries: %w", depth, syscall.EINVAL)
	}
	var channel *C.struct_abi_comp_channel
	if ch != nil {
		var err error
		if channel, err = ch.attach(); err != nil {
			return nil, err
		}
	}
	cq, err := C.shim_create_cq(c.library.calls, c.ctx, C.int(depth), channel)
	if cq == nil {
		if ch != nil {
			_ = ch.detach()
		}
		return nil, noPinned(err, "ibv_create_cq with %d entries on %s", depth, c.name)
	}
	c.open.Add(1)
	return &CQ{cq, c, ch}, nil
}

// Poll stores completions in dst, as many as there are and fit, and returns how
// many. While there are none it looks up to 1+spins times, without leaving C: the
// caller bounds how long that keeps the processor. No allocation. One goroutine
// at a time.
func (q *CQ) Poll(dst []WC, spins int) (n int, err error) {
	if len(dst) == 0 {
		return 0, nil
	}
	n = int(C.shim_poll_cq(q.cq, C.int(len(dst)), (*C.struct_abi_wc)(unsafe.Pointer(unsafe.SliceData(dst))), C.uint32_t(max(spins, 0))))
	if n < 0 {
		return 0, failed(syscall.Errno(-n), "ibv_poll_cq on %s", q.context.name)
	}
	return n, nil
}

// Arm asks for an event on the channel at the next completion; with
// solicitedOnly, at the next that is solicited or failed. A completion before
// the call makes no event: poll after it.
func (q *CQ) Arm(solicitedOnly bool) error {
	var only C.int
	if solicitedOnly {
		only = 1
	}
	if errno := C.shim_req_notify_cq(q.cq, only); errno != 0 {
		return failed(syscall.Errno(errno), "ibv_req_notify_cq on %s", q.context.name)
	}
	return nil
}

// Close destroys the queue.
func (q *CQ) Close() error {
	if q.cq == nil {
		return nil
	}
	if errno := C.shim_destroy_cq(q.context.library.calls, q.cq); errno != 0 {
		return failed(syscall.Errno(errno), "ibv_destroy_cq on %s", q.context.name)
	}
	q.cq = nil
	q.context.open.Add(-1)
	if q.channel != nil {
		return q.channel.detach()
	}
	return nil
}
