package client

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

// call is a call on its way. It is held by a list of the client, by a lane that
// sends it or takes its result, or it is in flight, or its caller fills its input. A
// call in flight is ended by the one that takes it out of that state first, its lane or
// its caller: only then may the caller's memory be touched, or be given back.
type call struct {
	ctx      context.Context
	function string
	in, out  []byte
	room     int           // for the result, if a slot's is not enough
	fresh    bool          // the result is made, instead of copied to out
	drives   bool          // its caller waits, and drives a lane meanwhile if it may: see borrow
	timeout  time.Duration // of an attempt, 0 for none
	metadata invoke.Metadata
	ended    []func(Result, error) // of hooks
	place    *placed               // of a call in place, or nil
	index    int                   // of Map

	// One of them tells that the call is done.
	sink    chan *call
	done    chan struct{}
	notify  func(Result, error)
	cleanup func() // called before

	// Of the client's lock.
	list       *list
	next, prev *call
	admitted   chan struct{} // closed when it leaves the overflow; nil if the caller does not wait for that
	reason     error         // why it is to be given up
	quit       atomic.Bool   // there is a reason

	state    atomic.Uint32
	lane     *lane // in flight there, or the last time
	worker   string
	attempts []Attempt
	losses   int // of them: those that lost the worker
	timing   invoke.Timing
	result   []byte
	length   int
	err      error
}

const (
	callHeld uint32 = iota
	callFlying
	callDone
	callFilling // its caller has its buffer
	callFilled  // and is done with it; its lane has not noticed
)

// apply takes the options of a call.
func (c *call) apply(options []invoke.CallOptions) invoke.CallOptions {
	o := invoke.CombineOptions(options...)
	c.room, c.timeout, c.metadata = max(c.room, o.Room), o.Timeout, o.Metadata
	return o
}

// enter puts a call into the queue.
func (cl *Client) enter(c *call, try bool) error {
	err := c.ctx.Err()
	if err == nil {
		err = cl.submit(c, try)
	}
	if err == nil {
		return nil
	}
	if err != ErrFull {
		err = c.failure(c.givenUp(err, startedNo, "the call was not sent"))
	}
	c.err = err
	c.tell()
	return err
}

// finish tells the caller. The call is held by who calls it, or was taken out of
// flight by them.
func (c *call) finish(err error) {
	c.err = err
	if c.ended != nil {
		c.tell()
	}
	c.state.Store(callDone)
	if c.cleanup != nil {
		c.cleanup()
	}
	switch {
	case c.notify != nil:
		c.notify(c.outcome())
	case c.sink != nil:
		c.sink <- c
	default:
		close(c.done)
	}
}

// failure is the error that the caller gets.
func (c *call) failure(err error) error {
	return &Error{Function: c.function, Attempts: c.attempts, Err: err}
}

// givenUp is the error of a call whose caller does not wait any longer.
func (c *call) givenUp(reason error, started invoke.Started, message string) error {
	if !errors.Is(reason, context.DeadlineExceeded) && !errors.Is(reason, context.Canceled) {
		return reason
	}
	e := &invoke.Error{Status: invoke.StatusCanceled, Function: c.function, Started: started, Err: reason, Message: message}
	if errors.Is(reason, context.DeadlineExceeded) {
		e.Status = invoke.StatusDeadlineExceeded
	}
	return e
}

// failInFlight ends a call that was taken out of flight because its caller gave
// up.
func (c *call) failInFlight(reason error) {
	err := c.givenUp(reason, invoke.StartedUnknown, fmt.Sprintf("%v while the worker had the call", reason))
	if e, ok := err.(*invoke.Error); ok {
		e.Worker = c.worker
	}
	c.attempts = append(c.attempts, Attempt{Lane: c.lane.index, Worker: c.worker, Err: err})
	c.finish(c.failure(err))
}

// cancel gives a call up, from anywhere. It is done when cancel returns, or soon
// if a lane is just sending it or taking its result.
func (cl *Client) cancel(c *call, reason error) {
	cl.mu.Lock()
	if c.reason == nil {
		c.reason = reason
		c.quit.Store(true)
	}
	if c.list != nil {
		cl.remove(c)
		err := c.failure(c.givenUp(reason, invoke.StartedNo, "the call was not sent: "+cl.situation()))
		cl.mu.Unlock()
		c.finish(err)
		return
	}
	cl.mu.Unlock()
	if c.state.CompareAndSwap(callFlying, callDone) {
		l := c.lane
		c.failInFlight(reason)
		l.alert()
	}
}

// whyGivenUp is the reason of a call with quit set.
func (cl *Client) whyGivenUp(c *call) error {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return c.reason
}
