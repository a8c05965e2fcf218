package pool

import (
	"context"
	"time"
)

// sleep waits for something to happen, without using the processor. An error
// means that the worker is lost.
func (l *lane) sleep() error {
	switch {
	case len(l.flights) > 0:
		// The client cannot be woken to send something else: see "Waiting".
		l.show(false)
		if l.room() && l.pool.waiting.Load() > 0 { // look again
			return nil
		}
		l.declined = false
		return l.settleInto(0, l.scratch, l.flights[0].ctx)
	case l.quarantined > 0:
		l.show(false)
		return l.fence()
	case l.busies > 0 && time.Now().Before(l.resting):
		l.show(false)
		return l.doze(time.Until(l.resting))
	}
	return l.park()
}

// fence waits until the worker has answered everything: it answers in order, a
// look-up, too.
func (l *lane) fence() error {
	for name := range l.functions {
		_, err := l.client.Function(context.Background(), name)
		l.countQuarantined()
		if err != nil && l.client.Err() != nil {
			return l.gone(err)
		}
		return nil
	}
	return l.doze(time.Millisecond) // it was the first look-up that was given up
}

// doze waits for some time.
func (l *lane) doze(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-l.client.Done():
		return l.gone(l.client.Err())
	}
}

// park waits for a call.
func (l *lane) park() error {
	p := l.pool
	p.mu.Lock()
	p.become(l, laneParked) // looks again: if calls wait, this wakes a lane
	p.mu.Unlock()
	select {
	case <-l.wake:
		return nil
	case <-l.client.Done():
		return l.gone(l.client.Err())
	}
}
