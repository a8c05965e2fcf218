package client

import (
	"context"
	"time"
)

// sleep waits for something to happen, without using the processor: a reply, the
// loss of the worker, a call to be sent, one to be given up, the end of a rest.
// It reports whether there was a reply. An error means that the worker is lost.
func (l *lane) sleep() (answered bool, err error) {
	parked, ctx := l.lieDown()
	defer l.getUp()
	if parked {
		select {
		case <-l.wake:
			return false, nil
		case <-l.conn.Done():
			return false, l.gone(l.conn.Err())
		}
	}
	if l.attention.Load() {
		return false, nil
	}
	if l.resting.After(time.Now()) {
		short, cancel := context.WithDeadline(ctx, l.resting)
		defer cancel()
		ctx = short
	}
	if err = l.conn.Await(ctx); err != nil && ctx.Err() == nil {
		return false, l.gone(err)
	}
	return err == nil, nil
}

// lieDown announces a sleep: without calls in flight until l.wake, with some until
// the context ends.
func (l *lane) lieDown() (parked bool, until context.Context) {
	cl := l.client
	cl.mu.Lock()
	defer cl.mu.Unlock()
	room := l.room()
	if room && !l.busy() {
		cl.become(l, laneParked) // looks again: if calls wait, this wakes a lane
		return true, nil
	}
	if l.asleep == nil || l.asleep.Err() != nil {
		l.asleep, l.interrupt = context.WithCancel(context.Background())
	}
	until = l.asleep // before a lane is woken
	if room {
		cl.become(l, laneDozing)
	}
	return false, until
}

// getUp makes the lane's state its own again.
func (l *lane) getUp() {
	cl := l.client
	cl.mu.Lock()
	defer cl.mu.Unlock()
	for l.state == laneBorrowed {
		cl.returned.Wait()
	}
	switch l.state {
	case laneDozing:
		cl.become(l, laneRoomy)
	case laneParked:
		cl.become(l, laneIdle)
	}
}
