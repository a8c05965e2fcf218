package simnet

import (
	"bytes"
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
}

func newLane(n *Network, from, to *End, c Config) *Lane {
	c.check()
	return &Lane{network: n, from: from, to: to, config: c, random: rand.New(rand.NewPCG(n.seed, uint64(len(n.lanes))))}
}

// Cut ends all traffic: datagrams in flight are lost, and so is everything that
// is sent until Heal.
func (l *Lane) Cut() {
	l.cut = true
	l.cuts++
}

// Heal ends a cut.
func (l *Lane) Heal() { l.cut = false }

func (l *Lane) send(datagram []byte) {
	l.network.tell(Sent, l, datagram)
	switch {
	case l.cut:
		l.network.tell(Severed, l, datagram)
	case l.config.MTU > 0 && len(datagram) > l.config.MTU:
		l.network.tell(Oversized, l, datagram)
	case !l.queue.room(&l.config, l.network.now, len(datagram)):
		l.network.tell(Overflowed, l, datagram)
	default:
		// What is lost has been through the queue, and took its time there.
		departure := l.queue.add(&l.config, l.network.now, len(datagram))
		if l.loses() {
			l.network.tell(Lost, l, datagram)
			return
		}
		l.transmit(datagram, departure)
		if l.hit(l.config.Duplicate) {
			l.network.tell(Duplicated, l, datagram)
			l.transmit(datagram, departure)
		}
	}
}

// transmit schedules the arrival of a copy of a datagram.
func (l *Lane) transmit(datagram []byte, departure time.Duration) {
	b := bytes.Clone(datagram)
	at := departure + l.config.Delay + l.upTo(l.config.Jitter)
	if l.hit(l.config.Reorder) {
		l.network.tell(Reordered, l, datagram)
		at += l.upTo(l.config.ReorderBy)
	} else {
		l.last = max(l.last, at)
		at = l.last
	}
	if len(b) > 0 && l.hit(l.config.Flip) {
		l.flip(b)
		l.network.tell(Flipped, l, b)
	}
	if len(b) > 0 && l.hit(l.config.Truncate) {
		b = b[:l.random.IntN(len(b))]
		l.network.tell(Truncated, l, b)
	}
	l.network.agenda.push(entry{at: at, lane: l, datagram: b, cuts: l.cuts})
}

func (l *Lane) arrive(e entry) {
	if e.cuts != l.cuts {
		l.network.tell(Severed, l, e.datagram)
	} else {
		l.network.tell(Delivered, l, e.datagram)
		l.to.receive(l.from, e.datagram)
	}
}
