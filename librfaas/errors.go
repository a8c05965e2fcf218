package main

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// mistake is an error of the caller.
type mistake struct{ error }

func invalid(format string, args ...any) error { return mistake{fmt.Errorf(format, args...)} }

// fail hands an error to C: its text, which is C's to free, and its status.
func fail(err error, why **C.char) C.int {
	*why = C.CString(text(err))
	return status(err)
}

// text is what C is told of an error, with what C can do about it.
func text(err error) string {
	if errors.Is(err, invoke.ErrTooLarge) {
		return err.Error() + "; rfaas_order.payload_bytes allows more than 64 KiB"
	}
	return err.Error()
}

// status is what C is told of an error.
func status(err error) C.int {
	if e, ok := errors.AsType[*alloc.LostError](err); ok {
		return lost(e.Reason)
	}
	if e, ok := errors.AsType[*invoke.Error](err); ok {
		return C.int(e.Status) // rfaas.h has its numbers
	}
	for _, known := range []struct {
		err    error
		status C.int
	}{
		{client.ErrClosed, C.RFAAS_CLOSED}, {alloc.ErrClosed, C.RFAAS_CLOSED}, {client.ErrFull, C.RFAAS_FULL},
		{client.ErrNoWorker, C.RFAAS_NO_WORKER}, {invoke.ErrWorkerGone, C.RFAAS_LOST}, {context.DeadlineExceeded, C.RFAAS_DEADLINE},
	} {
		if errors.Is(err, known.err) {
			return known.status
		}
	}
	if _, ok := errors.AsType[mistake](err); ok {
		return C.RFAAS_INVALID
	}
	return C.RFAAS_FAILED
}

// lost is the status of a call whose worker was lost.
func lost(why lease.Reason) C.int {
	switch why {
	case lease.WorkerDied, lease.WorkerOverran, lease.WorkerOverflowed, lease.WorkerOutOfMemory:
		return C.RFAAS_CRASHED
	case lease.WorkerOverstayed:
		return C.RFAAS_DEADLINE
	case lease.Released, lease.Expired, lease.Revoked, lease.AgentEnds:
		return C.RFAAS_REVOKED
	}
	return C.RFAAS_LOST
}

// code is that of an error of the function itself.
func code(err error) C.uint32_t {
	if e, ok := errors.AsType[*invoke.FunctionError](err); ok {
		return C.uint32_t(e.Code)
	}
	return 0
}
