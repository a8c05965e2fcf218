package transporttest

import (
	"context"
	"errors"

	"github.com/rfaas-go/rfaas/transport"
)

// failure is an error on its way from one process to another: its text, and
// which of the sentinels it is.
type failure struct {
	Text string
	Is   []int // indexes of sentinels
}

// sentinels are the errors that programs distinguish with errors.Is.
var sentinels = []error{
	transport.ErrQueueFull,
	transport.ErrNotSupported,
	transport.ErrClosed,
	transport.ErrConcurrentUse,
	transport.ErrPeerClosed,
	transport.ErrPeerGone,
	transport.ErrRejected,
	transport.ErrOutOfRange,
	transport.ErrInvalid,
	context.DeadlineExceeded,
	context.Canceled,
	errDeadline,
	errUnexpected,
}

// errDeadline means that something did not happen within the suite's patience.
var errDeadline = errors.New("did not happen in time")

// errUnexpected means that a rule of the interface was broken.
var errUnexpected = errors.New("broken rule")

// describeFailure is nil for a nil error.
func describeFailure(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Text: err.Error()}
	for i, s := range sentinels {
		if errors.Is(err, s) {
			f.Is = append(f.Is, i)
		}
	}
	return f
}

// err is the error again.
func (f *failure) err() error {
	if f == nil {
		return nil
	}
	return f
}

func (f *failure) Error() string { return f.Text }

// Unwrap returns the sentinels that the error is.
func (f *failure) Unwrap() []error {
	var is []error
	for _, i := range f.Is {
		is = append(is, sentinels[i])
	}
	return is
}
