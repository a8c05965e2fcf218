package client

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// list is a queue of calls from which any can be removed.
type list struct {
	first, last *call
	length      int
}

func (q *list) push(c *call) {
	c.list, c.prev, c.next = q, q.last, nil
	if q.last == nil {
		q.first = c
	} else {
		q.last.next = c
	}
	q.last = c
	q.length++
}

func (q *list) remove(c *call) {
	if c.prev == nil {
		q.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		q.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.list, c.prev, c.next = nil, nil, nil
	q.length--
}

// laneState is whether a lane looks at the queue.
type laneState uint8

const (
	laneDown     laneState = iota // it has no worker
	laneEngaged                   // it has no room
	laneRoomy                     // it polls the queue, and has calls in flight
	laneIdle                      // it polls the queue, and has none
	laneDozing                    // it sleeps, has calls in flight, and room
	laneParked                    // it sleeps, and has none
	laneBorrowed                  // a caller drives it
	laneVacant                    // it has let its worker go, and sleeps
	laneGone                      // given up
	laneStates
)

// wakeWorth is how much work in flight makes it better to wake a sleeping lane
// than to send another call behind it: about what a wake-up takes.
const wakeWorth = 20 * time.Microsecond

// submit puts a call into the queue. If that is full, the call goes to the
// overflow, or is refused if it is only tried.
func (cl *Client) submit(c *call, try bool) error {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	switch {
	case cl.closed:
		return ErrClosed
	case cl.count[laneGone] == len(cl.lanes):
		return fmt.Errorf("%w: %s", ErrNoWorker, cl.failures())
	case c.reason != nil:
		return c.reason
	case cl.queue.length < cl.cfg.Queue:
		cl.queue.push(c)
		cl.changed()
	case try:
		return ErrFull
	default:
		cl.overflow.push(c)
		return nil
	}
	if c.admitted != nil {
		close(c.admitted)
	}
	return nil
}

// again puts a call that may be repeated before those that are new.
func (cl *Client) again(c *call, err error) {
	cl.mu.Lock()
	switch {
	case cl.closed:
		err = ErrClosed
	case cl.count[laneGone] == len(cl.lanes):
		err = fmt.Errorf("%w: %s", ErrNoWorker, cl.failures())
	case c.reason == nil:
		cl.retries.push(c)
		cl.changed()
		cl.mu.Unlock()
		return
	}
	cl.mu.Unlock()
	c.finish(c.failure(err))
}

// remove takes a call off its list. cl.mu is held, as for all that follows.
func (cl *Client) remove(c *call) {
	from := c.list
	from.remove(c)
	if next := cl.overflow.first; from == &cl.queue && next != nil {
		cl.overflow.remove(next)
		cl.queue.push(next)
		if next.admitted != nil {
			close(next.admitted)
		}
	}
	cl.changed()
}

// changed notes whose turn it is after the lists have changed.
func (cl *Client) changed() {
	c := cl.retries.first
	if c == nil {
		c = cl.queue.first
	}
	if cl.first.Load() != c {
		cl.first.Store(c)
	}
	cl.kick()
}

// drain empties the lists.
func (cl *Client) drain() []*call {
	var all []*call
	for _, q := range []*list{&cl.retries, &cl.queue, &cl.overflow} {
		for q.first != nil {
			all = append(all, q.first)
			q.remove(q.first)
		}
	}
	cl.changed()
	return all
}

// take finds the next call for a lane, and takes it off its list.
func (cl *Client) take(l *lane) *call {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	c := cl.choose(l)
	if c != nil {
		cl.remove(c)
	}
	return c
}

// choose finds the next call for a lane. As long as there is one to be repeated
// lanes take no others, so that they get empty: it needs a worker to itself.
func (cl *Client) choose(l *lane) *call {
	for c := cl.retries.first; c != nil; c = c.next {
		if l.mayTake(c) {
			return c
		}
	}
	if c := cl.queue.first; c != nil && cl.retries.first == nil && l.mayTake(c) {
		return c
	}
	return nil
}

// mayTake is the heart of "Who gets a call". The lane has room.
func (l *lane) mayTake(c *call) bool {
	cl := l.client
	if !l.busy() {
		return c.lane != l || cl.count[laneParked]+cl.count[laneIdle] == cl.counted(l)
	}
	f := l.functions[c.function]
	switch {
	case c.losses > 0 || f == nil || f.estimate == 0: // only to a worker without others
		return false
	case l.pending+f.estimate > cl.cfg.Ahead:
		return false
	case cl.count[laneIdle] > 0 || cl.count[laneParked] > 0 && l.pending > wakeWorth: // others have nothing to do
		return false
	}
	return true
}

// counted is 1 if the lane is among those that have nothing to do.
func (cl *Client) counted(l *lane) int {
	if l.state == laneParked || l.state == laneIdle {
		return 1
	}
	return 0
}

// become changes what a lane does. A lane that stops looking at the queue makes sure
// that another one does.
func (cl *Client) become(l *lane, s laneState) {
	if l.state == s {
		return
	}
	if l.state.sleeps() {
		cl.sleepers = slices.DeleteFunc(cl.sleepers, func(o *lane) bool { return o == l })
	}
	cl.count[l.state]--
	cl.count[s]++
	l.state = s
	if s.sleeps() {
		cl.sleepers = append(cl.sleepers, l)
	}
	cl.kick()
}

// sleeps reports whether the lane is to be woken when there is a call for it.
func (s laneState) sleeps() bool { return s == laneParked || s == laneDozing || s == laneVacant }

// kick wakes a lane if calls wait and no lane looks.
func (cl *Client) kick() {
	if cl.first.Load() != nil && cl.count[laneIdle]+cl.count[laneRoomy] == 0 {
		cl.wake(nil)
	}
}

// wake wakes the lane, other than one, that is the best for the first call.
func (cl *Client) wake(except *lane) {
	c := cl.first.Load()
	var best *lane
	for _, l := range cl.sleepers {
		if l != except && l.declined.Load() != c && (best == nil || l.suits(c) >= best.suits(c)) {
			best = l // of equals the last, whose caches are the warmest
		}
	}
	switch {
	case best == nil:
		return
	case best.state == laneVacant:
		if cl.count[laneDown] < cl.waiting() { // otherwise enough lanes get workers already
			cl.become(best, laneDown)
			best.rouse()
		}
	case best.state == laneParked:
		cl.become(best, laneIdle)
		best.rouse()
	default:
		cl.become(best, laneRoomy)
		best.interrupt()
	}
}

// rouse ends a sleep without calls in flight.
func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default: // it was woken before, and has not noticed
	}
}

// waiting is how many calls wait for a lane.
func (cl *Client) waiting() int {
	return cl.queue.length + cl.retries.length + cl.overflow.length
}

// suits ranks sleeping lanes: rather one without calls, rather not the one where the
// call failed before, and one without a worker if there is no other.
func (l *lane) suits(c *call) int {
	switch {
	case l.state == laneVacant:
		return -1
	case l.state == laneDozing:
		return 0
	case l == c.lane:
		return 1
	}
	return 2
}

// situation says, for errors, why a call waits.
func (cl *Client) situation() string {
	up := len(cl.lanes) - cl.count[laneDown] - cl.count[laneVacant] - cl.count[laneGone]
	if up == 0 {
		return "no worker: " + cl.failures()
	}
	return fmt.Sprintf("no worker was free in time (%d of %d lanes have one, %d other calls wait)", up, len(cl.lanes), cl.waiting())
}

// failures says why lanes have no worker.
func (cl *Client) failures() string {
	var s []string
	for _, l := range cl.lanes {
		switch {
		case l.state != laneDown && l.state != laneVacant && l.state != laneGone:
		case l.failure == nil:
			s = append(s, fmt.Sprintf("lane %d: not connected yet", l.index))
		default:
			s = append(s, fmt.Sprintf("lane %d: %v", l.index, l.failure))
		}
	}
	const most = 4
	if len(s) > most {
		s = append(s[:most], fmt.Sprintf("and %d more", len(s)-most))
	}
	return strings.Join(s, "; ")
}
