package pool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

const (
	// yieldEvery is after how many looks in vain a lane lets other goroutines
	// run: callers, and workers of this process.
	yieldEvery = 16
	// clockEvery is after how many it looks at the clock.
	clockEvery = 64
)

// drive takes calls, sends them and hands out their results until the worker is
// lost, or to be replaced. It returns why.
func (l *lane) drive() error {
	l.since = time.Now()
	looks := 0
	for {
		answered, err := l.collect()
		if err != nil {
			return err
		}
		if l.attention.Load() {
			l.abandon()
			answered = true
		}
		if answered {
			l.declined = false
		}
		sent, err := l.fill()
		if err != nil {
			return err
		}
		if l.retiring && !l.busy() {
			return errors.New("the worker is being taken away")
		}
		if answered || sent {
			l.since = time.Now()
			looks = 0
			continue
		}
		if looks++; looks%yieldEvery == 0 {
			runtime.Gosched()
		}
		if looks%clockEvery != 1 {
			continue
		}
		if patient := l.pool.spin; patient == math.MaxInt64 || time.Since(l.since) < patient {
			select {
			case <-l.client.Done():
				return l.gone(l.client.Err())
			default:
				continue
			}
		}
		if err := l.sleep(); err != nil {
			return err
		}
		l.since = time.Now()
		looks = 0
	}
}

// busy reports whether the worker has calls of this lane.
func (l *lane) busy() bool { return len(l.flights) > 0 || l.quarantined > 0 }

// fill sends calls as long as there are some for this lane.
func (l *lane) fill() (sent bool, err error) {
	for {
		room := l.room()
		l.show(room)
		if !room || l.pool.waiting.Load() == 0 {
			return sent, nil
		}
		c := l.pool.take(l)
		if c == nil {
			l.decline()
			return sent, nil
		}
		sent = true
		if err := l.send(c); err != nil {
			return sent, err
		}
	}
}

// room reports whether this lane could take a call, or has not yet tried.
func (l *lane) room() bool {
	return !l.retiring && !l.declined && len(l.flights) < l.depth && l.quarantined == 0 &&
		(len(l.flights) == 0 || l.pending < l.pool.cfg.Ahead) && (l.busies == 0 || !time.Now().Before(l.resting))
}

// show tells the pool whether this lane looks at the queue.
func (l *lane) show(looks bool) {
	s := laneEngaged
	switch {
	case looks && l.busy():
		s = laneRoomy
	case looks:
		s = laneIdle
	}
	if l.state != s { // it is changed by this goroutine only, but when it sleeps
		l.pool.mu.Lock()
		l.pool.become(l, s)
		l.pool.mu.Unlock()
	}
}

// decline leaves what waits to other lanes, until something changes here.
func (l *lane) decline() {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	if l.pool.waiting.Load() == 0 {
		return
	}
	if l.busy() {
		l.declined = true
		l.pool.become(l, laneEngaged)
	} else if l.pool.count[laneIdle] == 1 { // one who sleeps is to take it
		l.pool.wake(l)
	}
}

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
	ctx, release := c.ctx, (func())(nil)
	if c.timeout > 0 {
		ctx, release = l.limit(c)
	}
	future, err := l.client.TryGo(ctx, f.Handle, c.in)
	if err != nil {
		if release != nil {
			release()
		}
		return l.unsent(c, err)
	}
	expected := f.estimate
	if expected == 0 || c.losses > 0 {
		expected = l.pool.cfg.Ahead // nothing beside it
	}
	l.flights = append(l.flights, flight{call: c, future: future, function: f, expected: expected, ctx: ctx, release: release})
	l.pending += expected
	c.lane, c.worker = l, l.name
	c.state.Store(callFlying)
	if c.quit.Load() && c.state.CompareAndSwap(callFlying, callDone) {
		c.failInFlight(l.pool.whyGivenUp(c))
		l.attention.Store(true)
	}
	return nil
}

// limit gives an attempt its own time.
func (l *lane) limit(c *call) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(c.ctx, c.timeout)
	stop := context.AfterFunc(ctx, func() { l.pool.cancel(c, ctx.Err()) })
	return ctx, func() { stop(); cancel() }
}

// find looks a function up, once for each worker.
func (l *lane) find(c *call) (*function, error) {
	if f := l.functions[c.function]; f != nil {
		return f, nil
	}
	h, err := l.client.Function(c.ctx, c.function) // nothing is in flight, so nobody else waits
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
	switch {
	case lost && l.pool.life.Err() != nil:
		c.finish(c.failure(ErrClosed))
		return err
	case errors.Is(err, invoke.ErrNoCredit): // not expected: depth and quarantine keep within the credits
		l.countQuarantined()
		l.declined = true
		l.pool.again(c, err)
		return nil
	}
	l.rest(err)
	l.repeat(c, err, false)
	if lost {
		return err
	}
	return nil
}

// rest makes a lane pause whose worker has no room, or is being taken away.
func (l *lane) rest(err error) {
	e, ok := errors.AsType[*invoke.Error](err)
	switch {
	case !ok || e.Started != invoke.StartedNo:
	case e.Status == invoke.StatusBusy:
		l.busies++
		l.resting = time.Now().Add(l.pool.cfg.backoff(l.busies))
	case e.Status == invoke.StatusRevoked:
		l.retiring = true
	}
}

// collect hands out what was answered.
func (l *lane) collect() (answered bool, err error) {
	if l.quarantined > 0 {
		before := l.quarantined
		l.countQuarantined()
		answered = l.quarantined < before
	}
	if len(l.flights) == 0 {
		return answered, nil
	}
	// Each look takes all that has come; whose turn it is changes, so that a reply
	// is found wherever it is.
	l.cursor = (l.cursor + 1) % len(l.flights)
	ready, err := l.flights[l.cursor].future.Ready()
	if err != nil {
		return answered, l.gone(err)
	}
	if !ready {
		return answered, nil
	}
	for i := 0; i < len(l.flights); {
		ready, err := l.flights[i].future.Ready()
		if err != nil {
			return true, l.gone(err)
		}
		if !ready {
			i++
			continue
		}
		if err := l.settle(i); err != nil {
			return true, err
		}
	}
	l.cursor = 0
	return true, nil
}

// settle hands out the result of a call that was answered. An error means that
// the worker is lost; then the call is still in flight.
func (l *lane) settle(i int) error {
	f := &l.flights[i]
	c := f.call
	if c.state.Load() != callFlying {
		l.drop(i)
		return nil
	}
	if l.client.Err() != nil { // it may be a result, or not
		return l.settleInto(i, l.scratch, context.Background())
	}
	if !c.state.CompareAndSwap(callFlying, callHeld) {
		l.drop(i)
		return nil
	}
	out := c.out
	if c.fresh {
		out = l.scratch
	}
	n, err := f.future.Wait(context.Background(), out)
	if _, lost := errors.AsType[*invoke.GoneError](err); lost {
		c.state.Store(callFlying)
		if c.quit.Load() && c.state.CompareAndSwap(callFlying, callDone) {
			c.failInFlight(l.pool.whyGivenUp(c))
		}
		return err
	}
	l.complete(i, n, err, out)
	return nil
}

// settleInto waits for a call and hands its result out by way of a buffer: while
// it waits, the caller may give up, and out is theirs again.
func (l *lane) settleInto(i int, buffer []byte, ctx context.Context) error {
	f := &l.flights[i]
	c := f.call
	n, err := f.future.Wait(ctx, buffer)
	if err != nil {
		if _, lost := errors.AsType[*invoke.GoneError](err); lost || errors.Is(err, invoke.ErrCollected) {
			return err
		}
		if e, ok := errors.AsType[*invoke.Error](err); ok && e.Err != nil { // the context ended: the client has abandoned the call
			l.pool.cancel(c, ctx.Err())
			l.remove(i)
			l.countQuarantined()
			return nil
		}
	}
	if !c.state.CompareAndSwap(callFlying, callHeld) {
		l.remove(i)
		return nil
	}
	l.complete(i, n, err, buffer)
	return nil
}

// complete ends a call that was answered, and is held: with an error, or with n
// bytes in a buffer, which may be the caller's.
func (l *lane) complete(i, n int, err error, buffer []byte) {
	f := l.flights[i]
	c := f.call
	if t, ok := l.client.Timing(); ok {
		c.timing = t
		if err == nil {
			f.function.measure(t.Execution)
		}
		l.busyTime.Add(int64(t.Execution))
	}
	l.remove(i)
	l.answered = true
	l.calls.Add(1)
	switch {
	case err != nil:
		l.rest(err)
		l.repeat(c, err, false)
		return
	case c.fresh:
		c.result = append([]byte{}, buffer[:n]...)
	case n > len(c.out):
		l.repeat(c, &invoke.Error{Status: invoke.StatusTooLarge, Function: c.function, Worker: l.name, Started: invoke.StartedYes,
			Message: fmt.Sprintf("the result has %d bytes, the caller made room for %d", n, len(c.out))}, false)
		return
	case n > 0 && &buffer[0] != &c.out[0]:
		copy(c.out, buffer[:n])
	}
	l.busies = 0
	c.length = n
	c.lane, c.worker = l, l.name
	c.finish(nil)
}

// harvest hands out what was answered before the connection ended.
func (l *lane) harvest() {
	for i := 0; i < len(l.flights); {
		n := len(l.flights)
		if err := l.settleInto(i, l.scratch, context.Background()); err != nil || len(l.flights) == n {
			i++
		}
	}
}

// measure takes an execution into the estimate.
func (f *function) measure(execution time.Duration) {
	execution = max(execution, 1)
	if f.estimate == 0 {
		f.estimate = execution
		return
	}
	f.estimate = max(f.estimate+(execution-f.estimate)/8, 1)
}

// abandon gives up the calls whose callers have.
func (l *lane) abandon() {
	l.attention.Store(false)
	for i := 0; i < len(l.flights); {
		if l.flights[i].call.state.Load() == callDone {
			l.drop(i)
		} else {
			i++
		}
	}
}

// drop abandons a flight.
func (l *lane) drop(i int) {
	_ = l.flights[i].future.Abandon() // fails if the connection is gone, which is noticed elsewhere
	l.remove(i)
	l.countQuarantined()
}

// remove forgets a flight.
func (l *lane) remove(i int) {
	f := l.flights[i]
	f.free()
	l.pending -= f.expected
	l.flights = slices.Delete(l.flights, i, i+1)
}

// countQuarantined counts the calls that the worker has not answered although
// they were given up, and sees to it that there is an end to them.
func (l *lane) countQuarantined() {
	credits, err := l.client.Credits()
	if err != nil || credits.Quarantined == l.quarantined {
		return
	}
	l.quarantined = credits.Quarantined
	l.stopOvertime()
	hangUp := l.hangUp
	if d := l.pool.cfg.Overtime; d > 0 && l.quarantined > 0 {
		l.overtime = time.AfterFunc(d, func() {
			l.overdue.Store(true)
			hangUp()
		})
	}
}

func (l *lane) stopOvertime() {
	if l.overtime != nil {
		l.overtime.Stop()
		l.overtime = nil
	}
}

// gone is the error for the end of the connection.
func (l *lane) gone(err error) error {
	if _, ok := errors.AsType[*invoke.GoneError](err); ok {
		return err
	}
	if err == nil {
		err = errors.New("the connection ended")
	}
	return &invoke.GoneError{Worker: l.name, Started: invoke.StartedUnknown, Err: err}
}
