package client

import (
	"runtime"
	"time"
)

// A caller that waits anyway can drive a lane that has nothing to do: that spares it two
// changes of goroutines, and often of threads. It borrows a lane whose goroutine sleeps, and
// does what that would do. What takes longer than polling is worth, or goes wrong,
// it leaves to the lane's goroutine. A client that does not poll has nothing to lend.

// borrow gives a caller a lane without calls, which knows the function, if none waits.
func (cl *Client) borrow(c *call) *lane {
	if cl.spin == 0 || c.ctx.Err() != nil {
		return nil
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.closed || cl.first.Load() != nil {
		return nil
	}
	for i := len(cl.sleepers) - 1; i >= 0; i-- { // the last, whose caches are the warmest
		l := cl.sleepers[i]
		if l.state == laneParked && !l.attention.Load() && l.room() && l.functions[c.function] != nil {
			cl.become(l, laneBorrowed)
			return l
		}
	}
	return nil
}

// carry sends a call over the lane that its caller has borrowed, takes the result if it comes
// soon, and gives the lane back.
func (l *lane) carry(c *call) {
	if l.send(c) == nil {
		l.await(c)
	}
	cl := l.client
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if l.busy() || l.retiring || l.busies > 0 || l.attention.Load() || l.conn.Err() != nil {
		cl.become(l, laneEngaged) // until its goroutine says otherwise
		l.rouse()
	} else {
		cl.become(l, laneParked) // looks again: if calls wait, this wakes a lane
	}
	cl.returned.Broadcast()
}

// await polls until the lane has nothing in flight, its goroutine is to see to something, or
// the client does not poll any longer.
func (l *lane) await(c *call) {
	since := time.Now()
	for looks := 1; l.busy(); looks++ {
		answered, err := l.conn.Poll()
		if answered && err == nil {
			err = l.collect()
		}
		if err != nil || l.attention.Load() {
			return
		}
		if looks%yieldEvery == 0 {
			runtime.Gosched()
		}
		if looks%clockEvery == 0 && (c.ctx.Err() != nil || l.conn.Err() != nil || time.Since(since) >= l.client.spin) {
			return
		}
	}
}

// mayBeBorrowed reports whether the next call is rather for a caller to drive than for this
// goroutine: there is nothing to do, and the last caller could have done what this did.
func (l *lane) mayBeBorrowed() bool {
	return l.borrowable && !l.busy() && l.client.first.Load() == nil
}
