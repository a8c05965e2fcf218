package client

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

const (
	// yieldEvery is after how many looks without success a lane lets other goroutines
	// run: callers, and workers of this process.
	yieldEvery = 16
	// clockEvery is after how many it looks at the clock.
	clockEvery = 64
)

// drive takes calls, sends them and hands out their results until the worker is
// lost, or to be replaced. It returns why.
func (l *lane) drive() error {
	since, looks, answered := time.Now(), 0, false
	for {
		var err error
		if !answered && l.busy() {
			if answered, err = l.conn.Poll(); err != nil {
				return l.gone(err)
			}
		}
		if answered {
			if err := l.collect(); err != nil {
				return err
			}
		}
		if l.attention.Load() {
			if err := l.attend(); err != nil {
				return err
			}
			answered = true
		}
		if answered {
			l.declined.Store(nil)
		}
		sent, err := l.fill()
		if err != nil {
			return err
		}
		if l.retiring && !l.busy() {
			return errors.New("the worker is being taken away")
		}
		if answered || sent {
			since, looks, answered = time.Now(), 0, false
			continue
		}
		if looks++; looks%yieldEvery == 0 {
			runtime.Gosched()
		}
		if looks%clockEvery != 1 {
			continue
		}
		if err := l.conn.Err(); err != nil {
			return l.gone(err)
		}
		if time.Since(since) < l.client.spin && !l.withCallers() && !l.mayBeBorrowed() {
			continue
		}
		if answered, err = l.sleep(); err != nil {
			return err
		}
		since, looks = time.Now(), 0
	}
}

// withCallers reports whether all that the lane has taken is in the hands of callers:
// there is nothing to poll for, and they need the processor.
func (l *lane) withCallers() bool {
	return len(l.flights)+len(l.lent) > 0 && l.quarantined == 0 && !slices.ContainsFunc(l.flights, func(f flight) bool { return f.sent })
}

// busy reports whether the worker has calls of this lane.
func (l *lane) busy() bool { return len(l.flights) > 0 || l.quarantined > 0 }

// fill sends calls as long as there are some for this lane.
func (l *lane) fill() (sent bool, err error) {
	for {
		looks := l.looks()
		l.show(looks)
		if !looks || l.client.first.Load() == nil {
			return sent, nil
		}
		c := l.client.take(l)
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

// looks reports whether this lane would take a call that waits.
func (l *lane) looks() bool {
	first := l.client.first.Load()
	return l.room() && (first == nil || first != l.declined.Load())
}

// room reports whether this lane could take a call. A result that a caller still has
// counts, so that the memory for calls in place is bounded: to touch new memory takes
// longer than to wait for what is warm.
func (l *lane) room() bool {
	return !l.retiring && len(l.flights)+len(l.lent) < l.depth && l.quarantined == 0 &&
		(len(l.flights) == 0 || l.pending < l.client.cfg.Ahead) && (l.busies == 0 || !time.Now().Before(l.resting))
}

// show tells the client whether this lane looks at the queue.
func (l *lane) show(looks bool) {
	s := laneEngaged
	switch {
	case looks && l.busy():
		s = laneRoomy
	case looks:
		s = laneIdle
	}
	if l.state != s && l.state != laneBorrowed { // it is changed by this goroutine only, but when it sleeps
		l.client.mu.Lock()
		l.client.become(l, s)
		l.client.mu.Unlock()
	}
}

// decline leaves the first call that waits to other lanes, until something changes
// here.
func (l *lane) decline() {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	switch first := l.client.first.Load(); {
	case first == nil:
	case l.busy():
		l.declined.Store(first)
		l.client.become(l, laneEngaged)
	case l.client.count[laneIdle] == 1: // one who sleeps is to take it
		l.client.wake(l)
	}
}

// collect hands out what was answered.
func (l *lane) collect() error {
	if l.quarantined > 0 {
		l.countQuarantined()
		l.reclaim()
	}
	for i := 0; i < len(l.flights); {
		ready, err := l.flights[i].ready()
		if err != nil {
			return l.gone(err)
		}
		if !ready {
			i++
			continue
		}
		if err := l.settle(i); err != nil {
			return err
		}
	}
	return nil
}

// ready reports whether a call was answered.
func (f *flight) ready() (bool, error) {
	switch {
	case !f.sent:
		return false, nil
	case f.buffer != nil:
		return f.buffer.Ready()
	}
	return f.future.Ready()
}

// harvest hands out what was answered before the connection ended.
func (l *lane) harvest() {
	for i := 0; i < len(l.flights); {
		if !l.flights[i].sent || l.settle(i) != nil {
			i++
		}
	}
}

// settle hands out the result of a call that was answered, and removes it. An
// error means that the worker was lost before; then the call is still in flight.
func (l *lane) settle(i int) error {
	f := l.flights[i]
	c := f.call
	if !c.state.CompareAndSwap(callFlying, callHeld) {
		l.drop(i)
		return nil
	}
	n, err := 0, error(nil)
	switch {
	case c.place != nil:
		err = l.receive(c)
		n = len(c.place.result)
	case c.fresh:
		c.result, err = f.future.Take(context.Background())
		n = len(c.result)
	default:
		n, err = f.future.Wait(context.Background(), c.out)
	}
	// A call that was found to be lost is not found again.
	if _, lost := errors.AsType[*invoke.GoneError](err); lost || err == invoke.ErrCollected {
		l.launch(c)
		return err
	}
	if t, ok := l.conn.Timing(); ok {
		c.timing = t
		if err == nil {
			f.function.measure(t.Execution)
		}
		l.busyTime.Add(int64(t.Execution))
	}
	l.remove(i)
	l.calls.Add(1)
	l.borrowable = c.drives
	if len(l.client.lanes) > 1 && l.state != laneDown {
		l.show(l.looks()) // first: the caller's next call is not to go behind one of another lane
	}
	if err != nil {
		if f.buffer != nil {
			l.discard(f.buffer)
		}
		l.rest(err)
		l.repeat(c, err, takenAway(err) && f.function.Idempotent())
		return nil
	}
	l.busies = 0
	c.length = n
	c.finish(nil)
	return nil
}

// launch lets a call that the lane holds fly: its caller may give it up, and may
// have meanwhile.
func (l *lane) launch(c *call) {
	l.used = true
	c.lane, c.worker = l, l.name
	c.state.Store(callFlying)
	if c.quit.Load() && c.state.CompareAndSwap(callFlying, callDone) {
		c.failInFlight(l.client.whyGivenUp(c))
		l.attention.Store(true)
	}
}

// rest makes a lane pause whose worker has no room, or is being taken away.
func (l *lane) rest(err error) {
	e, ok := errors.AsType[*invoke.Error](err)
	switch {
	case !ok:
	case e.Status == invoke.StatusBusy && e.Started == invoke.StartedNo:
		l.busies++
		l.resting = time.Now().Add(l.client.cfg.backoff(l.busies))
	case e.Status == invoke.StatusRevoked:
		l.retiring = true
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

// attend does what callers want: it gives up calls, sends those whose input is
// there, and takes memory back. An error means that the worker is lost.
func (l *lane) attend() error {
	l.attention.Store(false)
	for i := 0; i < len(l.flights); {
		before := len(l.flights)
		switch l.flights[i].call.state.Load() {
		case callDone:
			l.drop(i)
		case callFilled:
			if err := l.sendFilled(i); err != nil {
				return err
			}
		}
		if len(l.flights) == before {
			i++
		}
	}
	l.reclaim()
	if l.leaving.Load() == l.conn {
		l.retiring = true
	}
	if l.surplus.Swap(false) && l.mayLeave() {
		return errIdle
	}
	return nil
}

// drop abandons a flight.
func (l *lane) drop(i int) {
	f := l.flights[i] // to abandon it fails if the connection is gone, which is noticed elsewhere
	l.giveUpFlight(&f)
	l.remove(i)
	if f.buffer != nil {
		_ = f.buffer.Abandon()
		l.discard(f.buffer)
	} else {
		_ = f.future.Abandon()
	}
	l.countQuarantined()
}

// giveUpFlight notes the last call that was given up. Its worker has begun none that was sent
// later while it is not answered: it executes them in order, but for calls beyond the slots.
func (l *lane) giveUpFlight(f *flight) {
	c, size := f.call, l.conn.SlotBytes()
	if len(c.metadata) > 0 {
		size -= invoke.MaxMetadataBytes // at most: they follow the input
	}
	if !f.sent || c.place != nil || max(len(c.in), c.room) > size {
		l.givenUp = math.MaxUint64
	}
	l.givenUp = max(l.givenUp, f.number)
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
	credits, err := l.conn.Credits()
	if err != nil || credits.Quarantined == l.quarantined {
		return
	}
	l.quarantined = credits.Quarantined
	l.stopOvertime()
	hangUp := l.hangUp
	if d := l.client.cfg.Overtime; d > 0 && l.quarantined > 0 {
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
	return &invoke.GoneError{Worker: l.name, Started: invoke.StartedUnknown, Err: err}
}
