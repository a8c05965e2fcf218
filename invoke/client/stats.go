package client

import (
	"sync/atomic"
	"time"
)

// Stats is what a client has done since it was made, and what it does now.
type Stats struct {
	Up       int    // lanes that have a worker
	Waiting  int    // calls that wait for a lane
	Calls    uint64 // answered by a worker, whatever the answer
	Retries  uint64 // calls that were made again
	Losses   uint64 // workers lost with their connection
	Lanes    []LaneStats
	Draining bool // closed
}

// LaneStats is a lane's part.
type LaneStats struct {
	Worker       string        // as invoke.Client.Worker names it; empty if there is none
	Calls        uint64        // answered
	Busy         time.Duration // in functions, as its workers measured it
	Retries      uint64        // calls that failed here and were made again
	Losses       uint64        // workers lost
	Dials        uint64        // calls of Config.Dial
	DialFailures uint64        // of them: those that failed
	GivenUp      bool          // see Config.MaxDials
	Err          error         // why the lane has no worker, or the last time had none
}

// tally is counted by the lane and read by others.
type tally struct {
	calls, retries, losses, dials, dialFailures atomic.Uint64
	busyTime                                    atomic.Int64
	worker                                      atomic.Pointer[string]
}

// Stats returns what the client has done.
func (cl *Client) Stats() Stats {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	s := Stats{Waiting: cl.waiting(), Draining: cl.closed}
	for _, l := range cl.lanes {
		t := LaneStats{
			Calls: l.calls.Load(), Busy: time.Duration(l.busyTime.Load()), Retries: l.retries.Load(), Losses: l.losses.Load(),
			Dials: l.dials.Load(), DialFailures: l.dialFailures.Load(), GivenUp: l.state == laneGone, Err: l.failure,
		}
		if w := l.worker.Load(); w != nil {
			t.Worker = *w
			s.Up++
		}
		s.Calls += t.Calls
		s.Retries += t.Retries
		s.Losses += t.Losses
		s.Lanes = append(s.Lanes, t)
	}
	return s
}
