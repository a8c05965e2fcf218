package simnet

import (
	"fmt"
	"time"
)

// Network is a clock and what is to happen, in order.
type Network struct {
	seed    uint64
	now     time.Duration
	agenda  agenda
	ends    []*End
	lanes   []*Lane
	observe func(Event)
}

// New makes a network without ends, whose clock shows start.
func New(seed uint64, start time.Duration) *Network {
	return &Network{seed: seed, now: start}
}

// Now is what the clock shows.
func (n *Network) Now() time.Duration { return n.now }

// Next is the moment of the next thing that will happen. ok is false when nothing
// ever will.
func (n *Network) Next() (at time.Duration, ok bool) {
	if len(n.agenda.entries) == 0 {
		return 0, false
	}
	return n.agenda.entries[0].at, true
}

// Step moves the clock to the next thing that is to happen, and has it happen:
// one arrival or one call. It returns false when there is none.
func (n *Network) Step() bool {
	if len(n.agenda.entries) == 0 {
		return false
	}
	e := n.agenda.pop()
	n.now = e.at
	if e.call != nil {
		e.call()
		return true
	}
	e.lane.arrive(e)
	return true
}

// Advance has everything happen that is due up to and at a moment, and then moves
// the clock there.
func (n *Network) Advance(to time.Duration) {
	if to < n.now {
		panic(fmt.Sprintf("simnet: the clock shows %v, and cannot go back to %v", n.now, to))
	}
	for {
		at, ok := n.Next()
		if !ok || at > to {
			break
		}
		n.Step()
	}
	n.now = to
}

// After has call called at a moment from now. Calls and arrivals of the same moment
// happen in the order in which they were asked for.
func (n *Network) After(d time.Duration, call func()) {
	if d < 0 {
		panic(fmt.Sprintf("simnet: a call at %v from now would never come", d))
	}
	n.agenda.push(entry{at: n.now + d, call: call})
}

// Attach makes an end. receive is called with each datagram that arrives there, a copy
// of its own. It may send, and do anything else with the network but move the clock.
func (n *Network) Attach(name string, receive func(from *End, datagram []byte)) *End {
	e := &End{network: n, name: name, receive: receive}
	n.ends = append(n.ends, e)
	return e
}

// Join lets two ends exchange datagrams, in each direction by a lane with faults
// and randomness of its own.
func (n *Network) Join(a, b *End, c Config) {
	for _, way := range [][2]*End{{a, b}, {b, a}} {
		if way[0].laneTo(way[1]) != nil {
			panic(fmt.Sprintf("simnet: %s and %s are joined already", a, b))
		}
		l := newLane(n, way[0], way[1], c)
		way[0].lanes = append(way[0].lanes, l)
		n.lanes = append(n.lanes, l)
	}
}

// Partition cuts all lanes between the given ends and the others, in both
// directions.
func (n *Network) Partition(ends ...*End) {
	inside := make(map[*End]bool, len(ends))
	for _, e := range ends {
		inside[e] = true
	}
	for _, l := range n.lanes {
		if inside[l.from] != inside[l.to] {
			l.Cut()
		}
	}
}

// Heal ends all cuts and partitions.
func (n *Network) Heal() {
	for _, l := range n.lanes {
		l.Heal()
	}
}

// Observe has f called with everything that happens to datagrams, from now on.
func (n *Network) Observe(f func(Event)) { n.observe = f }

func (n *Network) tell(w What, l *Lane, datagram []byte) {
	if n.observe != nil {
		n.observe(Event{At: n.now, What: w, From: l.from, To: l.to, Datagram: datagram})
	}
}
