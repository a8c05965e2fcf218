package invoke

import "fmt"

// Status is how a call ended, as the worker reports it.
type Status uint8

// The statuses. Their numbers are part of the wire format.
const (
	StatusOK Status = iota
	// StatusFunctionError: the function ran and returned an error.
	StatusFunctionError
	// StatusCrashed: the function panicked; the worker lives on.
	StatusCrashed
	// StatusNotFound: the worker has no such function.
	StatusNotFound
	// StatusTooLarge: the input is longer than what the worker takes, or the result
	// longer than the space for it.
	StatusTooLarge
	// StatusBusy: the worker, or what it runs the function in, has no room now.
	StatusBusy
	// StatusDeadlineExceeded: the call's deadline passed.
	StatusDeadlineExceeded
	// StatusCanceled: the caller gave up before the function was started, or the
	// function ended early because of that.
	StatusCanceled
	// StatusRevoked: the worker is being taken away. It starts nothing any more, and a
	// function that runs is told by its context.
	StatusRevoked
	// StatusVersionMismatch: the two ends speak different versions of this
	// protocol.
	StatusVersionMismatch
	statusCount
)

var statusNames = [statusCount]string{
	"ok", "function error", "crashed", "not found", "too large", "busy",
	"deadline exceeded", "canceled", "revoked", "version mismatch",
}

// String is the status in words.
func (s Status) String() string {
	if s < statusCount {
		return statusNames[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// Started tells whether a call that failed was begun by the worker: what
// decides if it may be repeated although its function is not idempotent.
type Started uint8

const (
	// StartedUnknown: the call may have been executed, wholly or in part.
	StartedUnknown Started = iota
	// StartedNo: the call was not begun, and will not be.
	StartedNo
	// StartedYes: the call was begun.
	StartedYes
)

// String is "unknown", "no" or "yes".
func (s Started) String() string {
	switch s {
	case StartedNo:
		return "no"
	case StartedYes:
		return "yes"
	}
	return "unknown"
}
