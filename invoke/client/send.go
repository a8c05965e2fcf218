package client

import (
	"context"
	"errors"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

// send sends a call. An error means that the worker is lost.
func (l *lane) send(c *call) error {
	if c.quit.Load() {
		reason := l.client.whyGivenUp(c)
		c.finish(c.failure(c.givenUp(reason, startedNo, "the call was not sent")))
		return nil
	}
	f, err := l.find(c)
	if err != nil {
		return l.unsent(c, err)
	}
	if c.place != nil {
		return l.offer(c, f)
	}
	future, err := l.conn.Go(c.ctx, f.Handle, c.in, invoke.CallOptions{Room: c.room, Out: c.out, Timeout: c.timeout, NoWait: true, Metadata: c.metadata})
	if err != nil {
		return l.unsent(c, err)
	}
	l.fly(flight{call: c, future: future, function: f, sent: true, limit: l.limit(c)})
	l.launch(c)
	return nil
}

// fly notes what the lane has taken.
func (l *lane) fly(f flight) {
	f.expected = f.function.estimate
	if f.expected == 0 || f.call.losses > 0 {
		f.expected = l.client.cfg.Ahead // nothing beside it
	}
	l.sends++
	f.number = l.sends
	l.flights = append(l.flights, f)
	l.pending += f.expected
}

// answerTime is how much longer than the timeout of an attempt its lane waits: the
// function is ended by then, and its worker says so.
const answerTime = 250 * time.Millisecond

// limit gives an attempt that was sent its own time.
func (l *lane) limit(c *call) *time.Timer {
	if c.timeout == 0 {
		return nil
	}
	return time.AfterFunc(c.timeout+answerTime, func() { l.client.cancel(c, context.DeadlineExceeded) })
}

// find looks a function up, once for each worker.
func (l *lane) find(c *call) (*function, error) {
	if f := l.functions[c.function]; f != nil {
		return f, nil
	}
	l.show(false)                                // who waits meanwhile is for others
	h, err := l.conn.Function(c.ctx, c.function) // nothing is in flight here, so no other call waits
	if err != nil {
		if gone, ok := errors.AsType[*invoke.GoneError](err); ok { // a look-up starts nothing
			err = &invoke.GoneError{Worker: gone.Worker, Started: invoke.StartedNo, Err: gone.Err}
		} else if e, ok := errors.AsType[*invoke.Error](err); ok {
			about := *e
			about.Function, about.Started = c.function, invoke.StartedNo
			err = &about
		}
		l.countQuarantined() // the look-up, if it was given up
		return nil, err
	}
	f := &function{Handle: h}
	l.functions[c.function] = f
	return f, nil
}

// unsent handles a call that could not be sent. An error means that the worker
// is lost.
func (l *lane) unsent(c *call, err error) error {
	c.lane, c.worker = l, l.name
	_, lost := errors.AsType[*invoke.GoneError](err)
	if lost && l.client.life.Err() != nil {
		c.finish(c.failure(ErrClosed))
		return err
	}
	l.rest(err)
	l.repeat(c, err, false)
	if lost {
		return err
	}
	return nil
}
