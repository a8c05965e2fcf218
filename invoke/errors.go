package invoke

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rfaas-go/rfaas/internal/visible"
	"github.com/rfaas-go/rfaas/transport"
)

// One error for each status but ok: errors.Is(err, ErrTooLarge) holds for an
// *Error with StatusTooLarge. A Function may return ErrTooLarge, ErrBusy,
// ErrDeadlineExceeded or ErrCanceled, or an error that wraps one, to answer with that
// status instead of StatusFunctionError. The other statuses are for the platform only: a function that
// returns one of their errors, or another worker's answer, ends with StatusFunctionError.
var (
	ErrFunction         error = sentinel(StatusFunctionError)
	ErrCrashed          error = sentinel(StatusCrashed)
	ErrNotFound         error = sentinel(StatusNotFound)
	ErrTooLarge         error = sentinel(StatusTooLarge)
	ErrBusy             error = sentinel(StatusBusy)
	ErrDeadlineExceeded error = sentinel(StatusDeadlineExceeded)
	ErrCanceled         error = sentinel(StatusCanceled)
	ErrRevoked          error = sentinel(StatusRevoked)
	ErrVersionMismatch  error = sentinel(StatusVersionMismatch)
)

// Errors of the client itself.
var (
	// ErrNoCredit is back-pressure: every slot holds a call that is in flight or
	// whose result was not fetched. Wait for a Future, then call again.
	ErrNoCredit = errors.New("invoke: no credit: all slots are in use; wait for a call to finish, or ask for more slots")
	// ErrWorkerGone means that the connection to the worker ended; the error is a
	// *GoneError.
	ErrWorkerGone = errors.New("invoke: the worker is gone")
	// ErrClosed means that the client was closed, on this side. It is a
	// transport.ErrClosed; the error of a call is a *GoneError with it.
	ErrClosed = fmt.Errorf("invoke: the client was closed: %w", transport.ErrClosed)
	// ErrConcurrentUse means that two goroutines used a client at the same time.
	// Nothing was done.
	ErrConcurrentUse = errors.New("invoke: a client is driven by one goroutine at a time")
	// ErrBufferBusy means that the buffer belongs to a call that has not been
	// answered; it may be one that was abandoned.
	ErrBufferBusy = errors.New("invoke: the buffer belongs to a call that is not answered yet")
	// ErrCollected means that a Future was waited for, or abandoned, before.
	ErrCollected = errors.New("invoke: the future was waited for or abandoned before")
	// ErrForeignHandle means that a Handle was looked up by another client.
	ErrForeignHandle = errors.New("invoke: the handle belongs to another client; look the function up again")
)

// sentinel is a status as an error.
type sentinel Status

func (s sentinel) Error() string { return "invoke: " + Status(s).String() }

// FunctionError is an error of a function with a code that means something to its
// callers: they find it in the Code of an *Error with StatusFunctionError.
type FunctionError struct {
	Code    uint32 // not 0
	Message string
}

func (e *FunctionError) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

// Error is a call that ended with another status than ok.
type Error struct {
	Status   Status
	Code     uint32 // of a FunctionError; 0 if there was none
	Function string // its name; empty when a connection was refused, and perhaps when a call was not sent
	Message  string // the function's own, or what is wrong and with what numbers
	Worker   string // which worker, as its peer sees it; empty within the worker
	Started  Started
	Err      error // the cause on this side: the context's error, for instance
}

func (e *Error) Error() string {
	s := "invoke"
	if e.Function != "" {
		s += fmt.Sprintf(": function %q", e.Function)
	}
	if e.Worker != "" {
		s += " on " + e.Worker
	}
	s += ": " + e.Status.String()
	if e.Code != 0 {
		s += fmt.Sprintf(" (code %d)", e.Code)
	}
	if e.Message != "" {
		s += ": " + visible.Text(e.Message) // it may be the function's
	}
	return s
}

// Is makes errors.Is work with the errors of the statuses, and with
// context.DeadlineExceeded and context.Canceled for the two statuses that mean
// the same.
func (e *Error) Is(target error) bool {
	switch target {
	case context.DeadlineExceeded:
		return e.Status == StatusDeadlineExceeded
	case context.Canceled:
		return e.Status == StatusCanceled
	}
	s, ok := target.(sentinel)
	return ok && Status(s) == e.Status
}

// Unwrap returns the cause on this side, if there is one.
func (e *Error) Unwrap() error { return e.Err }

// GoneError says that the connection to the worker ended before the call was
// answered. errors.Is(err, ErrWorkerGone) holds for it.
type GoneError struct {
	Worker  string
	Started Started // StartedNo: the call was never sent. StartedUnknown: it was. StartedYes: only its result was lost
	Err     error   // why the connection ended; the transport's Conn.Err
}

func (e *GoneError) Error() string {
	what := "the call was not sent"
	if e.Started != StartedNo {
		what = "the call may have been executed"
	}
	if e.Err == ErrClosed { // the worker may be well
		return "invoke: the client of " + e.Worker + " was closed, " + what
	}
	return "invoke: the worker is gone (" + e.Worker + "), " + what + ": " + e.Err.Error()
}

// Is makes errors.Is(err, ErrWorkerGone) hold.
func (e *GoneError) Is(target error) bool { return target == ErrWorkerGone }

// Unwrap returns why the connection ended.
func (e *GoneError) Unwrap() error { return e.Err }

// StatusOf is the status that a Function's error is answered with: for hooks around it.
func StatusOf(err error) Status {
	if err == nil {
		return StatusOK
	}
	status, _ := statusOf(err)
	return status
}

// statusOf is the status, and the code, that a function's error is answered with.
func statusOf(err error) (Status, uint32) {
	if e := (*FunctionError)(nil); errors.As(err, &e) {
		return StatusFunctionError, e.Code
	}
	return platformStatus(err), 0
}

// platformStatus is the status of an error without a code.
func platformStatus(err error) Status {
	if e := (*Error)(nil); errors.As(err, &e) {
		if e.Worker != "" || e.Status == StatusOK { // another worker's answer to the function
			return StatusFunctionError
		}
		return e.Status
	}
	for _, s := range []Status{StatusTooLarge, StatusBusy, StatusDeadlineExceeded, StatusCanceled} {
		if errors.Is(err, sentinel(s)) {
			return Status(s)
		}
	}
	switch {
	case errors.Is(err, io.ErrShortBuffer):
		return StatusTooLarge
	case errors.Is(err, context.DeadlineExceeded):
		return StatusDeadlineExceeded
	case errors.Is(err, context.Canceled):
		return StatusCanceled
	}
	return StatusFunctionError
}

// messageOf is the text that a function's error is answered with.
func messageOf(err error) string {
	switch e := err.(type) {
	case *FunctionError:
		return e.Message
	case *Error:
		if e.Message != "" {
			return e.Message
		}
	}
	return err.Error()
}

// concurrent replaces the transport's error about its own objects.
func concurrent(err error) error {
	if errors.Is(err, transport.ErrConcurrentUse) {
		return ErrConcurrentUse
	}
	return err
}
