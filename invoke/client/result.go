package client

import (
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

// Result is what came of a call.
type Result struct {
	Index  int           // of the input of a Map, from 0
	Output []byte        // the consumer's; nil if there is an error, and for CallInPlace
	Bytes  int           // the length of the result in bytes
	Timing invoke.Timing // of the last attempt, as the worker measured it
	// Elapsed is how long the last attempt took, from when it was sent until its
	// lane had the answer. CallInPlace measures it.
	Elapsed time.Duration
	Lane    int       // that had the call last; -1 if none had
	Worker  string    // of that lane, as invoke.Client.Worker names it
	Failed  []Attempt // the attempts that did not succeed, in order
}

// outcome is what the caller gets.
func (c *call) outcome() (Result, error) {
	r := Result{Index: c.index, Output: c.result, Bytes: c.length, Timing: c.timing, Lane: -1, Worker: c.worker, Failed: c.attempts}
	if c.lane != nil {
		r.Lane = c.lane.index
	}
	if c.place != nil {
		r.Elapsed = c.place.elapsed
	}
	return r, c.err
}
