package pool

import (
	"context"
	"errors"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

// send sends a call. An error means that the worker is lost.
func (l *lane) send(c *call) error {
	if c.quit.Load() {
		reason := l.pool.whyGivenUp(c)
		c.finish(c.failure(c.givenUp(reason, startedNo, "the call was not sent")))
		return nil
	}
	f, err := l.find(c)
	if err != nil {
		return l.unsent(c, err)
	}
	future, err := l.client.Go(c.ctx, f.Handle, c.in, invoke.CallOptions{Room: c.room, Timeout: c.timeout, NoWait: true})
	if err != nil {
		return l.unsent(c, err)
	}
	expected := f.estimate
	if expected == 0 || c.losses > 0 {
		expected = l.pool.cfg.Ahead // nothing beside it
	}
	var limit *time.Timer
	if c.timeout > 0 {
		limit = time.AfterFunc(c.timeout, func() { l.pool.cancel(c, context.DeadlineExceeded) })
	}
	l.flights = append(l.flights, flight{call: c, future: future, function: f, expected: expected, limit: limit})
	l.pending += expected
	l.launch(c)
	return nil
}

// find looks a function up, once for each worker.
func (l *lane) find(c *call) (*function, error) {
	if f := l.functions[c.function]; f != nil {
		return f, nil
	}
	l.show(false)                                  // who waits meanwhile is for others
	h, err := l.client.Function(c.ctx, c.function) // nothing is in flight here, so nobody else waits
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
	if lost && l.pool.life.Err() != nil {
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
