package shm

import "sync/atomic"

// errand is work that one goroutine at a time does on request. No request is
// lost: one that comes while the work is being done has it done once more,
// because the work may have passed its part already.
type errand struct{ state atomic.Uint32 }

const (
	errandIdle = iota
	errandRunning
	errandAgain // running, and requested meanwhile
)

// request asks for the work and reports whether the caller has to start it.
func (e *errand) request() bool {
	for {
		switch state := e.state.Load(); {
		case state == errandAgain:
			return false
		case e.state.CompareAndSwap(state, state+1):
			return state == errandIdle
		}
	}
}

// finished marks the work as done, and reports whether no request came
// meanwhile: if one did, the work has to be done again.
func (e *errand) finished() bool {
	if e.state.CompareAndSwap(errandRunning, errandIdle) {
		return true
	}
	e.state.Store(errandRunning)
	return false
}
