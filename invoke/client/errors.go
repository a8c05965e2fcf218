package client

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rfaas-go/rfaas/invoke"
)

var (
	// ErrClosed means that the client was closed before the call was answered.
	ErrClosed = errors.New("client: closed")
	// ErrFull is back-pressure: Config.Queue calls wait for a lane.
	ErrFull = errors.New("client: full: as many calls wait for a worker as Config.Queue allows")
	// ErrNoWorker means that every lane was given up: see Config.MaxDials.
	ErrNoWorker = errors.New("client: no worker can be had")
)

// Error is a call that failed.
type Error struct {
	Function string
	// Attempts is what was tried, in this order; empty if the call never got to
	// a worker. An attempt that its caller gave up is the last one.
	Attempts []Attempt
	// Err decided: usually the error of the last attempt, an *invoke.Error if the
	// worker answered or the context ended; ErrClosed, ErrNoWorker.
	Err error
}

// Attempt is one try of a call that did not succeed.
type Attempt struct {
	Lane   int
	Worker string // as invoke.Client.Worker names it
	Err    error
}

func (e *Error) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "client: function %q", e.Function)
	tries := e.Attempts
	if n := len(tries); n > 0 && tries[n-1].Err == e.Err {
		tries = tries[:n-1]
		fmt.Fprintf(&s, " on lane %d (worker %s)", e.Attempts[n-1].Lane, e.Attempts[n-1].Worker)
	}
	fmt.Fprintf(&s, ": %v", e.Err)
	for i, t := range tries {
		fmt.Fprintf(&s, "; attempt %d was on lane %d (worker %s): %v", i+1, t.Lane, t.Worker, t.Err)
	}
	return s.String()
}

// Unwrap returns what decided.
func (e *Error) Unwrap() error { return e.Err }

// notStarted reports whether the call was not begun, for a reason that lies with
// the worker and not with the call.
func notStarted(err error) bool {
	if gone, ok := errors.AsType[*invoke.GoneError](err); ok && gone.Started == invoke.StartedNo {
		return true
	}
	e, ok := errors.AsType[*invoke.Error](err)
	return ok && e.Started == invoke.StartedNo &&
		(e.Status == invoke.StatusBusy || e.Status == invoke.StatusRevoked || errors.Is(e.Err, invoke.ErrWorkerGone))
}

// takenAway reports whether the worker was taken away while the call ran, and the function
// has given it up for that.
func takenAway(err error) bool {
	e, ok := errors.AsType[*invoke.Error](err)
	return ok && e.Status == invoke.StatusRevoked && e.Started == invoke.StartedYes
}

// lost is the error of a call that was in flight when its worker was lost.
// givenUp is the number of the last flight that was given up.
func (f *flight) lost(gone invoke.GoneError, fate error, givenUp uint64) error {
	gone.Started = invoke.StartedUnknown
	if e, ok := errors.AsType[*invoke.Error](fate); ok && e.Status == invoke.StatusCanceled {
		// The worker has ended itself, for a call that was given up: not for this one.
		if gone.Err = fmt.Errorf("%v; %w", fate, gone.Err); f.number > givenUp {
			gone.Started = invoke.StartedNo
		}
		return &gone
	}
	return fated(&gone, fate, f.call.function)
}

// fated is the error of a call that was in flight when its worker was lost. It
// is both what the fate says and an invoke.ErrWorkerGone.
func fated(gone *invoke.GoneError, fate error, function string) error {
	if fate == nil {
		return gone
	}
	e, ok := errors.AsType[*invoke.Error](fate)
	if !ok {
		return &invoke.GoneError{Worker: gone.Worker, Started: gone.Started, Err: fmt.Errorf("%w; %w", fate, gone.Err)}
	}
	told := *e
	told.Function = function
	if told.Worker == "" {
		told.Worker = gone.Worker
	}
	started := *gone
	if told.Started != invoke.StartedUnknown {
		started.Started = told.Started
	}
	if told.Started = started.Started; e.Err != nil {
		started.Err = fmt.Errorf("%w; %w", e.Err, gone.Err)
	}
	told.Err = &started
	return &told
}
