package pool

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
	laneDown    laneState = iota // it has no worker
	laneEngaged                  // it has no room
	laneRoomy                    // it polls the queue, and has calls in flight
	laneIdle                     // it polls the queue, and has none
	laneDozing                   // it sleeps, has calls in flight, and room
	laneParked                   // it sleeps, and has none
	laneGone                     // given up
	laneStates
)

// wakeWorth is how much work in flight makes it better to wake a sleeping lane
// than to send another call behind it: about what a wake-up takes.
const wakeWorth = 20 * time.Microsecond

// submit puts a call into the queue. If that is full, the call goes to the
// overflow, or is refused if it is only tried.
func (p *Pool) submit(c *call, try bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return ErrClosed
	case p.count[laneGone] == len(p.lanes):
		return fmt.Errorf("%w: %s", ErrNoWorker, p.failures())
	case c.reason != nil:
		return c.reason
	case p.queue.length < p.cfg.Queue:
		p.queue.push(c)
		p.changed()
	case try:
		return ErrFull
	default:
		p.overflow.push(c)
		return nil
	}
	if c.admitted != nil {
		close(c.admitted)
	}
	return nil
}

// again puts a call that may be repeated before those that are new.
func (p *Pool) again(c *call, err error) {
	p.mu.Lock()
	switch {
	case p.closed:
		err = ErrClosed
	case p.count[laneGone] == len(p.lanes):
		err = fmt.Errorf("%w: %s", ErrNoWorker, p.failures())
	case c.reason == nil:
		p.retries.push(c)
		p.changed()
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	c.finish(c.failure(err))
}

// remove takes a call off its list. p.mu is held, as for all that follows.
func (p *Pool) remove(c *call) {
	from := c.list
	from.remove(c)
	if next := p.overflow.first; from == &p.queue && next != nil {
		p.overflow.remove(next)
		p.queue.push(next)
		if next.admitted != nil {
			close(next.admitted)
		}
	}
	p.changed()
}

// changed notes whose turn it is after the lists have changed.
func (p *Pool) changed() {
	c := p.retries.first
	if c == nil {
		c = p.queue.first
	}
	if p.first.Load() != c {
		p.first.Store(c)
	}
	p.kick()
}

// drain empties the lists.
func (p *Pool) drain() []*call {
	var all []*call
	for _, q := range []*list{&p.retries, &p.queue, &p.overflow} {
		for q.first != nil {
			all = append(all, q.first)
			q.remove(q.first)
		}
	}
	p.changed()
	return all
}

// take finds the next call for a lane, and takes it off its list.
func (p *Pool) take(l *lane) *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.choose(l)
	if c != nil {
		p.remove(c)
	}
	return c
}

// choose finds the next call for a lane. As long as there is one to be repeated
// lanes take no others, so that they get empty: it needs a worker to itself.
func (p *Pool) choose(l *lane) *call {
	for c := p.retries.first; c != nil; c = c.next {
		if l.mayTake(c) {
			return c
		}
	}
	if c := p.queue.first; c != nil && p.retries.first == nil && l.mayTake(c) {
		return c
	}
	return nil
}

// mayTake is the heart of "Who gets a call". The lane has room.
func (l *lane) mayTake(c *call) bool {
	p := l.pool
	if !l.busy() {
		return c.lane != l || p.count[laneParked]+p.count[laneIdle] == p.counted(l)
	}
	f := l.functions[c.function]
	switch {
	case c.losses > 0 || f == nil || f.estimate == 0: // only to a worker without others
		return false
	case l.pending+f.estimate > p.cfg.Ahead:
		return false
	case p.count[laneIdle] > 0 || p.count[laneParked] > 0 && l.pending > wakeWorth: // others have nothing to do
		return false
	}
	return true
}

// counted is 1 if the lane is among those that have nothing to do.
func (p *Pool) counted(l *lane) int {
	if l.state == laneParked || l.state == laneIdle {
		return 1
	}
	return 0
}

// become changes what a lane does. Whoever stops to look at the queue makes sure
// that somebody else does.
func (p *Pool) become(l *lane, s laneState) {
	if l.state == s {
		return
	}
	if l.state.sleeps() {
		p.sleepers = slices.DeleteFunc(p.sleepers, func(o *lane) bool { return o == l })
	}
	p.count[l.state]--
	p.count[s]++
	l.state = s
	if s.sleeps() {
		p.sleepers = append(p.sleepers, l)
	}
	p.kick()
}

// sleeps reports whether the lane is to be woken when there is a call for it.
func (s laneState) sleeps() bool { return s == laneParked || s == laneDozing }

// kick wakes a lane if calls wait and nobody looks.
func (p *Pool) kick() {
	if p.first.Load() != nil && p.count[laneIdle]+p.count[laneRoomy] == 0 {
		p.wake(nil)
	}
}

// wake wakes the lane, other than one, that is the best for the first call.
func (p *Pool) wake(except *lane) {
	c := p.first.Load()
	var best *lane
	for _, l := range p.sleepers {
		if l != except && l.declined.Load() != c && (best == nil || l.suits(c) >= best.suits(c)) {
			best = l // of equals the last, whose caches are the warmest
		}
	}
	switch {
	case best == nil:
		return
	case best.state == laneParked:
		p.become(best, laneIdle)
		select {
		case best.wake <- struct{}{}:
		default: // it was woken before, and has not noticed
		}
	default:
		p.become(best, laneRoomy)
		best.interrupt()
	}
}

// suits ranks sleeping lanes: rather one without calls, and rather not the one
// where the call failed before.
func (l *lane) suits(c *call) int {
	switch {
	case l.state == laneDozing:
		return 0
	case l == c.lane:
		return 1
	}
	return 2
}

// situation says, for errors, why a call waits.
func (p *Pool) situation() string {
	if down := p.count[laneDown] + p.count[laneGone]; down == len(p.lanes) {
		return "no worker: " + p.failures()
	}
	up := len(p.lanes) - p.count[laneDown] - p.count[laneGone]
	return fmt.Sprintf("no worker was free in time (%d of %d lanes have one, %d other calls wait)", up, len(p.lanes), p.queue.length+p.retries.length+p.overflow.length)
}

// failures says why lanes have no worker.
func (p *Pool) failures() string {
	var s []string
	for _, l := range p.lanes {
		switch {
		case l.state != laneDown && l.state != laneGone:
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
