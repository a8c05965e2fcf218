package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

// lane keeps one worker busy, and replaces it when it is lost.
type lane struct {
	client    *Client
	index     int
	log       *slog.Logger
	wake      chan struct{}                 // ends a sleep without calls in flight; of one element
	attention atomic.Bool                   // a call in flight was given up
	surplus   atomic.Bool                   // its worker had nothing to do for Config.Idle
	leaving   atomic.Pointer[invoke.Client] // whose worker takes no more calls
	declined  atomic.Pointer[call]          // the call that waits and is not for this lane now, while it is the first

	// Of the client's lock.
	state     laneState
	failure   error              // why there is no worker, or the last time
	asleep    context.Context    // of the sleep under way with calls in flight, or the last
	interrupt context.CancelFunc // ends it; nil before the first

	tally

	// Of the lane's goroutine.
	conn           *invoke.Client
	name           string // of the worker
	hangUp         func() // closes client
	functions      map[string]*function
	depth          int
	flights        []flight // the oldest first
	pending        time.Duration
	quarantined    int    // calls given up and not answered
	sends, givenUp uint64 // flights so far; the number of the last one that was given up
	resting        time.Time
	busies         int              // in a row
	retiring       bool             // the worker starts nothing any more
	used           bool             // the worker was sent a call
	borrowable     bool             // the last call's caller could have driven it
	lent           []*placed        // whose callers have the result
	limbo          []*invoke.Buffer // of calls that were given up
	overtime       *time.Timer
	overdue        atomic.Bool
}

// function is a function of the lane's worker.
type function struct {
	*invoke.Handle
	estimate time.Duration // of an execution, 0 if not known
}

// flight is a call in flight.
type flight struct {
	call     *call
	future   invoke.Future
	buffer   *invoke.Buffer // instead of future, of a call in place
	function *function
	sent     bool   // otherwise the input is not there yet
	number   uint64 // in the order of sending
	expected time.Duration
	limit    *time.Timer // of its own time; may be nil
}

func newLane(cl *Client, index int) *lane {
	return &lane{client: cl, index: index, log: cl.cfg.Logger.With("lane", index), wake: make(chan struct{}, 1)}
}

// run gets workers and drives them, one after the other, until the client is
// closed or the lane is given up.
func (l *lane) run() {
	cl := l.client
	for failures := 0; cl.life.Err() == nil; {
		if failures > 0 {
			if m := cl.cfg.MaxDials; m > 0 && failures >= m {
				l.giveUp(failures)
				return
			}
			pause(cl.life, cl.cfg.backoff(failures))
			if cl.life.Err() != nil {
				return
			}
		}
		w, err := l.dial()
		if err != nil {
			if cl.life.Err() != nil {
				return
			}
			failures++
			l.dialFailures.Add(1)
			l.down(fmt.Errorf("dial: %w", err))
			l.log.Warn("no worker", "reason", err, "failures", failures)
			continue
		}
		idle := l.serve(w)
		if failures++; l.used || idle {
			failures = 0
		}
		if idle {
			l.awaitCalls()
		}
	}
}

func (l *lane) dial() (Worker, error) {
	l.dials.Add(1)
	ctx, cancel := context.WithTimeout(l.client.life, dialTimeout)
	defer cancel()
	w, err := l.client.cfg.Dial(ctx, l.index)
	if err == nil && w.Client == nil {
		err = errors.New("Config.Dial returned neither a client nor an error")
	}
	return w, err
}

// serve drives a worker until it is lost, replaced, let go because it is idle, or the
// client is closed.
func (l *lane) serve(w Worker) (idle bool) {
	cl := l.client
	l.start(w.Client)
	closing := context.AfterFunc(cl.life, l.hangUp) // ends waits, too
	why := l.drive()
	closing()
	l.stopOvertime()
	if l.overdue.Load() {
		why = &invoke.GoneError{Worker: l.name, Started: invoke.StartedUnknown,
			Err: fmt.Errorf("it went on for more than %v with a call that was given up", cl.cfg.Overtime)}
	}
	l.down(why)
	if w.Client.Err() != nil {
		l.harvest()
	}
	l.hangUp()
	closed := cl.life.Err() != nil
	gone, lost := errors.AsType[*invoke.GoneError](why)
	switch {
	case closed:
		l.close()
	case lost:
		fate := l.fate(w)
		if fate != nil {
			l.down(fmt.Errorf("the worker was lost: %w", fate))
		}
		l.losses.Add(1)
		l.log.Warn("worker lost", "worker", l.name, "reason", why, "fate", fate, "calls", len(l.flights))
		l.lose(gone, fate)
	case errors.Is(why, errIdle):
		idle = true
		l.log.Info("worker let go", "worker", l.name, "reason", why)
		if w.Idle != nil {
			w.Idle()
		}
	default:
		l.log.Info("worker replaced", "worker", l.name, "reason", why)
	}
	if w.Close != nil {
		if err := w.Close(); err != nil {
			l.log.Warn("closing the worker", "worker", l.name, "reason", err)
		}
	}
	return idle
}

func (l *lane) start(c *invoke.Client) {
	cl := l.client
	name := c.Worker()
	l.conn, l.name, l.functions = c, name, map[string]*function{}
	l.hangUp = sync.OnceFunc(func() { // the second caller waits for the first
		if err := c.Close(); err != nil {
			l.log.Warn("closing the connection", "worker", name, "reason", err)
		}
	})
	if l.depth = c.Slots(); cl.cfg.Depth > 0 {
		l.depth = min(l.depth, cl.cfg.Depth)
	}
	l.pending, l.quarantined, l.busies = 0, 0, 0
	l.retiring, l.used, l.borrowable = false, false, false
	l.sends, l.givenUp = 0, 0
	l.lent, l.limbo = nil, nil
	l.declined.Store(nil)
	l.resting = time.Time{}
	l.overdue.Store(false)
	l.surplus.Store(false)
	go func() {
		select {
		case <-c.Draining():
			l.leave(c)
		case <-c.Done():
		}
	}()
	l.worker.Store(&name)
	l.log.Info("worker connected", "worker", l.name)
}

// leave has the lane leave its worker when all is answered. It may have another one by now.
func (l *lane) leave(c *invoke.Client) {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	l.leaving.Store(c)
	l.attention.Store(true)
	switch {
	case l.state == laneParked:
		l.client.become(l, laneIdle)
		l.rouse()
	case l.interrupt != nil:
		l.interrupt()
	}
}

// fate asks what became of the worker.
func (l *lane) fate(w Worker) error {
	if w.Fate == nil || l.overdue.Load() { // it is well, and was left
		return nil
	}
	ctx, cancel := context.WithTimeout(l.client.life, fateTimeout)
	defer cancel()
	return w.Fate(ctx)
}

// down notes that there is no worker.
func (l *lane) down(why error) {
	l.client.mu.Lock()
	l.failure = why
	for _, other := range l.client.lanes { // what they left to this one
		other.declined.Store(nil)
	}
	l.client.become(l, laneDown)
	l.client.mu.Unlock()
	l.worker.Store(nil)
}

// giveUp ends the lane. When it was the last one, all calls fail.
func (l *lane) giveUp(failures int) {
	cl := l.client
	l.log.Error("lane given up", "failures", failures, "reason", l.failure)
	cl.mu.Lock()
	cl.become(l, laneGone)
	var rest []*call
	if cl.count[laneGone] == len(cl.lanes) {
		rest = cl.drain()
	}
	err := fmt.Errorf("%w: %s", ErrNoWorker, cl.failures())
	cl.mu.Unlock()
	for _, c := range rest {
		c.finish(c.failure(err))
	}
}

// lose ends or repeats the calls that were in flight.
func (l *lane) lose(gone *invoke.GoneError, fate error) {
	for i := range l.flights {
		if l.flights[i].call.state.Load() == callDone { // given up, which was not noticed yet
			l.giveUpFlight(&l.flights[i])
		}
	}
	for i := range l.flights {
		f := &l.flights[i]
		c := f.call
		if !f.sent {
			unsent := &invoke.GoneError{Worker: gone.Worker, Started: invoke.StartedNo, Err: gone.Err}
			c.attempts = append(c.attempts, Attempt{Lane: l.index, Worker: l.name, Err: unsent})
			l.recall(c, unsent, true)
		} else if f.free(); c.state.CompareAndSwap(callFlying, callHeld) {
			err := f.lost(*gone, fate, l.givenUp)
			if !notStarted(err) {
				c.losses++
			}
			l.repeat(c, err, f.function.Idempotent())
		}
	}
	l.flights = l.flights[:0]
}

// close ends the calls that were in flight when the client was closed.
func (l *lane) close() {
	for i := range l.flights {
		f := &l.flights[i]
		if !f.sent {
			l.recall(f.call, ErrClosed, false)
		} else if f.free(); f.call.state.CompareAndSwap(callFlying, callHeld) {
			f.call.finish(f.call.failure(ErrClosed))
		}
	}
	l.flights = l.flights[:0]
}

// repeat makes a call again that failed here, if that is allowed. The lane holds
// the call.
func (l *lane) repeat(c *call, err error, lostIdempotent bool) {
	c.attempts = append(c.attempts, Attempt{Lane: l.index, Worker: l.name, Err: err})
	if (lostIdempotent || notStarted(err)) && len(c.attempts) < l.client.cfg.Attempts && c.ctx.Err() == nil {
		l.retries.Add(1)
		l.client.again(c, err)
		return
	}
	c.finish(c.failure(err))
}

func (f *flight) free() {
	if f.limit != nil {
		f.limit.Stop()
	}
}

// backoff is the pause after a number of failures in a row, at least one.
func (c *Config) backoff(failures int) time.Duration {
	d := c.BackoffMax
	if doublings := failures - 1; doublings < 32 && c.BackoffMin<<doublings < d && c.BackoffMin<<doublings > 0 {
		d = c.BackoffMin << doublings
	}
	return d - rand.N(d/2+1)
}

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
