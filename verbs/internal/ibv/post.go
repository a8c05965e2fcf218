//go:build cgo && linux

package ibv

// #cgo noescape shim_post_send
// #cgo nocallback shim_post_send
// #cgo noescape shim_post_recv
// #cgo nocallback shim_post_recv
// #include "shim.h"
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/rfaas-go/rfaas/transport"
)

// A transport.WorkRequest is handed to C as it is: a constant or a field in
// another place than shim.h says is a negative or wrong length of an array here.
var (
	_ [0]struct{} = [unsafe.Sizeof(transport.WorkRequest{}) - C.sizeof_struct_shim_request]struct{}{}
	_ [0]struct{} = [unsafe.Sizeof(transport.Span{}) - C.sizeof_struct_shim_span]struct{}{}

	_ [0]struct{} = [transport.OpSend - C.SHIM_OP_SEND]struct{}{}
	_ [0]struct{} = [transport.OpWrite - C.SHIM_OP_WRITE]struct{}{}
	_ [0]struct{} = [transport.OpWriteImm - C.SHIM_OP_WRITE_IMM]struct{}{}
	_ [0]struct{} = [transport.OpRead - C.SHIM_OP_READ]struct{}{}
	_ [0]struct{} = [transport.OpFetchAdd - C.SHIM_OP_FETCH_ADD]struct{}{}
	_ [0]struct{} = [transport.OpCompareSwap - C.SHIM_OP_COMPARE_SWAP]struct{}{}

	_ [0]struct{} = [transport.Signaled - C.SHIM_SIGNALED]struct{}{}
	_ [0]struct{} = [transport.Inline - C.SHIM_INLINE]struct{}{}
	_ [0]struct{} = [transport.Fence - C.SHIM_FENCE]struct{}{}
	_ [0]struct{} = [transport.Solicited - C.SHIM_SOLICITED]struct{}{}
)

func requests(wrs []transport.WorkRequest) *C.struct_shim_request {
	return (*C.struct_shim_request)(unsafe.Pointer(unsafe.SliceData(wrs)))
}

// PostSend posts requests in order with one crossing to C and no allocation. Request i
// gets the WRID first+i; its ID stays behind. n is how many the device took, which may
// be all of them even if there is an error: then they are in its queue, but notifying
// it failed, and the queue pair is unusable. The error is ErrFull if there is no more
// room. wrs is the caller's again afterwards, the spans belong to the device until
// they complete, and memory of Inline requests is free. One goroutine at a time.
func (q *QP) PostSend(wrs []transport.WorkRequest, first uint64) (n int, err error) {
	posted := C.shim_post_send(q.qp, requests(wrs), C.uint32_t(len(wrs)), C.uint64_t(first))
	if posted.error != 0 {
		return int(posted.accepted), notPosted("ibv_post_send", posted, wrs)
	}
	return int(posted.accepted), nil
}

// PostRecv is the same for receives.
func (q *QP) PostRecv(wrs []transport.WorkRequest, first uint64) (n int, err error) {
	posted := C.shim_post_recv(q.qp, requests(wrs), C.uint32_t(len(wrs)), C.uint64_t(first))
	if posted.error != 0 {
		return int(posted.accepted), notPosted("ibv_post_recv", posted, wrs)
	}
	return int(posted.accepted), nil
}

// PostMarker posts a signaled write of no bytes to nowhere. In the error state it
// is flushed after everything posted before it.
func (q *QP) PostMarker(wrid uint64) error {
	if errno := syscall.Errno(C.shim_post_marker(q.qp, C.uint64_t(wrid))); errno == syscall.ENOMEM {
		return ErrFull
	} else if errno != 0 {
		return failed(errno, "ibv_post_send of a marker")
	}
	return nil
}

// Ring notifies the kernel once more of requests in the send queue. Only for rxe,
// whose doorbell is a system call, which librxe makes after every post. May be
// called during posts and polls.
func (q *QP) Ring() error {
	if errno := C.shim_ring(q.qp); errno != 0 {
		return failed(syscall.Errno(errno), "ringing the doorbell of queue pair %d on %s", q.QPN, q.pd.context.name)
	}
	return nil
}

// notPosted is the error of a post.
func notPosted(call string, posted C.struct_shim_posted, wrs []transport.WorkRequest) error {
	errno, n := syscall.Errno(posted.error), int(posted.accepted)
	switch {
	case n == len(wrs):
		return failed(errno, "%s of %d requests, all of them queued", call, n)
	case errno == syscall.ENOMEM:
		return ErrFull
	}
	return fmt.Errorf("%w (%d bytes)", failed(errno, "%s of request %d of %d, a %v", call, n+1, len(wrs), wrs[n].Op), wrs[n].Bytes())
}
