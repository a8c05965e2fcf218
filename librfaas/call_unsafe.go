package main

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// started is a call under way.
type started struct {
	call   *C.rfaas_call
	cancel func()
}

// memory is that of C, as far as a call can use it: C may say that there is more.
func memory(at unsafe.Pointer, bytes C.size_t) []byte {
	return unsafe.Slice((*byte)(at), min(bytes, invoke.MaxPayloadBytes))
}

func tooLong(inBytes C.size_t) error {
	return &invoke.Error{Status: invoke.StatusTooLarge, Started: invoke.StartedNo,
		Message: fmt.Sprintf("the input has %d bytes, and a call takes %d at most", inBytes, invoke.MaxPayloadBytes)}
}

//export goInvoke
func goInvoke(handle C.uintptr_t, function *C.char, in unsafe.Pointer, inBytes C.size_t, out unsafe.Pointer, room C.size_t, resultBytes *C.size_t, timeout C.int64_t, why **C.char) C.int {
	if inBytes > invoke.MaxPayloadBytes {
		return fail(tooLong(inBytes), why)
	}
	p, input := pools.get(int(handle)), memory(in, inBytes)
	ctx := context.Background()
	if timeout >= 0 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(timeout))
		defer cancel()
		ctx = limited
	}
	n, err := p.Call(ctx, p.names.of(function), input, memory(out, room))
	*resultBytes = C.size_t(n)
	if err != nil {
		return fail(err, why)
	}
	return C.RFAAS_OK
}

//export goBegin
func goBegin(handle C.uintptr_t, function *C.char, in unsafe.Pointer, inBytes C.size_t, out unsafe.Pointer, room C.size_t, timeout C.int64_t, call *C.rfaas_call, why **C.char) C.int {
	if inBytes > invoke.MaxPayloadBytes {
		return fail(tooLong(inBytes), why)
	}
	p, input := pools.get(int(handle)), memory(in, inBytes)
	ctx, free := context.Background(), func() {}
	if timeout >= 0 {
		ctx, free = context.WithTimeout(ctx, time.Duration(timeout))
	}
	call.slot = C.uint32_t(p.enter(call))
	cancel, err := p.Start(ctx, p.names.of(function), input, memory(out, room), func(r client.Result, err error) {
		free()
		p.leave(uint32(call.slot))
		end(call, r, err)
	})
	if err != nil {
		free()
		p.leave(uint32(call.slot))
		return fail(err, why)
	}
	p.mu.Lock()
	if s := &p.calls[call.slot]; s.call == call { // it has not ended yet
		s.cancel = cancel
	}
	p.mu.Unlock()
	return C.RFAAS_OK
}

// enter gives a call a slot.
func (p *pool) enter(call *C.rfaas_call) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		p.calls = append(p.calls, started{})
		p.free = append(p.free, uint32(len(p.calls)-1))
	}
	slot := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.calls[slot] = started{call: call}
	return slot
}

func (p *pool) leave(slot uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[slot] = started{}
	p.free = append(p.free, slot)
}

//export goCancel
func goCancel(handle C.uintptr_t, call *C.rfaas_call) {
	p := pools.get(int(handle))
	if p == nil {
		return // released, which has ended it
	}
	p.mu.Lock()
	cancel := func() {}
	if s := p.calls[call.slot]; s.call == call && s.cancel != nil {
		cancel = s.cancel
	}
	p.mu.Unlock()
	cancel()
}

// end tells C what came of a call, which may be freed as soon as its state says so.
func end(call *C.rfaas_call, r client.Result, err error) {
	call.bytes = C.size_t(r.Bytes)
	if err != nil {
		call.bytes, call.status, call.code, call.message = 0, status(err), code(err), C.CString(text(err))
	}
	state := (*uint32)(unsafe.Pointer(&call.state))
	if atomic.SwapUint32(state, C.CALL_HAS_ENDED) == C.CALL_IS_AWAITED {
		wake(state)
	}
	atomic.AddUint32((*uint32)(unsafe.Pointer(&C.ended_calls)), 1)
	if atomic.LoadUint32((*uint32)(unsafe.Pointer(&C.waiters))) > 0 {
		wake((*uint32)(unsafe.Pointer(&C.ended_calls)))
	}
}

// wake wakes who sleeps on a word.
func wake(word *uint32) {
	const wake, private, all = 1, 128, 1 << 30
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), wake|private, all, 0, 0, 0)
}
