package simnet

import (
	"math/rand/v2"
	"time"
)

// Lane is one direction between two ends.
type Lane struct {
	network  *Network
	from, to *End
	config   Config
	random   *rand.Rand
	losing   bool // within a run of losses
	queue    queue
	last     time.Duration // the latest arrival of those that keep the order
	cut      bool
	cuts     uint64 // what was sent before a cut does not arrive after it
	counts   Counts
}

func newLane(n *Network, from, to *End, seed, number uint64) *Lane {
	return &Lane{network: n, from: from, to: to, random: rand.New(rand.NewPCG(seed, number))}
}

// Configure sets what is done to datagrams that are sent from now on.
func (l *Lane) Configure(c Config) {
	c.check()
	l.config = c
	l.losing = false
}

// Config is what is done to datagrams now.
func (l *Lane) Config() Config { return l.config }

// Cut ends all traffic: datagrams in flight are lost, and so is everything that
// is sent until Heal.
func (l *Lane) Cut() {
	l.cut = true
	l.cuts++
}

// Heal ends a cut.
func (l *Lane) Heal() { l.cut = false }

// Counts is what happened to the datagrams so far.
func (l *Lane) Counts() Counts { return l.counts }

func (l *Lane) send(datagram []byte) {
	l.counts.Sent++
	l.network.tell(Sent, l, datagram)
	switch {
	case l.cut:
		l.drop(Severed, &l.counts.Severed, datagram)
	case l.config.MTU > 0 && len(datagram) > l.config.MTU:
		l.drop(Oversized, &l.counts.Oversized, datagram)
	case !l.queue.room(&l.config, l.network.now, len(datagram)):
		l.drop(Overflowed, &l.counts.Overflowed, datagram)
	default:
		// What is lost has been through the queue, and took its time there.
		departure := l.queue.add(&l.config, l.network.now, len(datagram))
		if l.loses() {
			l.drop(Lost, &l.counts.Lost, datagram)
			return
		}
		l.transmit(datagram, departure)
		if l.hit(l.config.Duplicate) {
			l.counts.Duplicated++
			l.network.tell(Duplicated, l, datagram)
			l.transmit(datagram, departure)
		}
	}
}

// transmit schedules the arrival of a copy of a datagram.
func (l *Lane) transmit(datagram []byte, departure time.Duration) {
	b := append(l.network.buffers.take(), datagram...)
	at := departure + l.config.Delay + l.upTo(l.config.Jitter)
	if l.hit(l.config.Reorder) {
		l.counts.Reordered++
		l.network.tell(Reordered, l, datagram)
		at += l.upTo(l.config.ReorderBy)
	} else {
		l.last = max(l.last, at)
		at = l.last
	}
	if len(b) > 0 && l.hit(l.config.Flip) {
		l.flip(b)
		l.counts.Flipped++
		l.network.tell(Flipped, l, b)
	}
	if len(b) > 0 && l.hit(l.config.Truncate) {
		b = b[:l.random.IntN(len(b))]
		l.counts.Truncated++
		l.network.tell(Truncated, l, b)
	}
	l.network.agenda.push(entry{at: at, lane: l, datagram: b, cuts: l.cuts})
}

func (l *Lane) arrive(e entry) {
	if e.cuts != l.cuts {
		l.drop(Severed, &l.counts.Severed, e.datagram)
	} else {
		l.counts.Delivered++
		l.network.tell(Delivered, l, e.datagram)
		l.to.receive(l.from, e.datagram)
	}
	l.network.buffers.give(e.datagram)
}

func (l *Lane) drop(w What, count *uint64, datagram []byte) {
	*count++
	l.network.tell(w, l, datagram)
}
