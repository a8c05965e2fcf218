package client

import (
	"errors"
	"time"
)

// errIdle is why a lane has no worker that had nothing to do for Config.Idle.
var errIdle = errors.New("it had no calls for a time; another one is dialed when calls wait")

// leastIdleLook bounds how often watchIdle looks.
const leastIdleLook = time.Millisecond

// watchIdle finds the lanes without calls, in a goroutine of its own, so that calls do
// nothing for it.
func (cl *Client) watchIdle() {
	type look struct {
		done  uint64    // calls and dials, at the last look
		since time.Time // when that was another number, or the lane had something to do
	}
	looks := make([]look, len(cl.lanes))
	ticker := time.NewTicker(max(cl.cfg.Idle/4, leastIdleLook))
	defer ticker.Stop()
	for {
		var now time.Time
		select {
		case now = <-ticker.C:
		case <-cl.life.Done():
			return
		}
		cl.mu.Lock()
		for i, l := range cl.lanes {
			done := l.calls.Load() + l.dials.Load()
			switch {
			case l.state != laneParked && l.state != laneIdle || looks[i].done != done:
				looks[i] = look{done, now}
			case now.Sub(looks[i].since) >= cl.cfg.Idle:
				l.askToLeave()
			}
		}
		cl.mu.Unlock()
	}
}

// askToLeave makes a lane let its worker go, unless there is something to do by then.
// cl.mu is held.
func (l *lane) askToLeave() {
	l.surplus.Store(true)
	l.attention.Store(true)
	if l.state == laneParked {
		l.client.become(l, laneIdle)
		l.rouse()
	}
}

// mayLeave says whether the lane has nothing to do, and nothing waits.
func (l *lane) mayLeave() bool {
	return !l.busy() && len(l.lent) == 0 && l.client.first.Load() == nil
}

// awaitCalls waits until calls need the lane, which has let its worker go, or the client
// is closed.
func (l *lane) awaitCalls() {
	cl := l.client
	cl.mu.Lock()
	select {
	case <-l.wake: // from before
	default:
	}
	cl.become(l, laneVacant) // looks again: if calls wait, this wakes a lane
	cl.mu.Unlock()
	select {
	case <-l.wake:
	case <-cl.life.Done():
	}
}
