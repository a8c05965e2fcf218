package softroce

import (
	"math/rand/v2"

	"github.com/rfaas-go/rfaas/internal/slowlink"
)

// faults is a receiver around an intake that loses, duplicates, reorders and
// corrupts packets, and then hands them over late, for tests and experiments.
type faults struct {
	engine *engine
	in     *intake
	random *rand.Rand
	config faultConfig
	held   []heldPacket // to come later
	spare  [][]byte
	slow   *slowNetwork // nil: packets that come through are handed over at once
}

// faultConfig is the probability of each fault, per packet, and what the link that
// the packets then come over is like.
type faultConfig struct {
	loss, duplicate, reorder, corrupt float64
	link                              slowlink.Config
	seed                              uint64
}

// heldPacket comes after some others, or when nothing else does.
type heldPacket struct {
	packet []byte
	from   sockaddr
	after  int // packets
}

func (c faultConfig) any() bool { return c.loss+c.duplicate+c.reorder+c.corrupt > 0 || c.link.Slow() }

func newFaults(e *engine, c faultConfig) *faults {
	f := &faults{engine: e, in: &e.in, config: c, random: rand.New(rand.NewPCG(c.seed, 0))}
	if c.link.Slow() {
		f.slow = newSlowNetwork(e, c)
	}
	return f
}

func (f *faults) hits(p float64) bool { return p > 0 && f.random.Float64() < p }

func (f *faults) receive() bool {
	n := f.in.take()
	for i := range n {
		m := f.in.message(i)
		for more := true; more; {
			var packet []byte
			packet, more = m.next()
			f.arrive(packet, m.from)
		}
	}
	arrived := n > 0 || f.late()
	if f.slow != nil {
		arrived = f.release() || arrived
	}
	return arrived
}

// arrive lets a packet through, or not, or not yet, or twice.
func (f *faults) arrive(packet []byte, from *sockaddr) {
	c := &f.engine.counters
	switch {
	case f.hits(f.config.loss):
		c.FaultsLost++
		return
	case f.hits(f.config.reorder):
		c.FaultsReordered++
		f.hold(packet, from)
		return
	}
	if len(packet) > 0 && f.hits(f.config.corrupt) {
		c.FaultsCorrupted++
		packet[f.random.IntN(len(packet))] ^= 1 << f.random.IntN(8)
	}
	if f.hits(f.config.duplicate) {
		c.FaultsDuplicated++
		f.hold(packet, from)
	}
	f.pass(packet, from)
	f.age()
}

// hold keeps a copy of a packet for later.
func (f *faults) hold(packet []byte, from *sockaddr) {
	var b []byte
	if n := len(f.spare); n > 0 {
		b, f.spare = f.spare[n-1], f.spare[:n-1]
	}
	const most = 4 // packets that overtake
	f.held = append(f.held, heldPacket{append(b[:0], packet...), *from, 1 + f.random.IntN(most)})
}

// age brings the packets that were held long enough.
func (f *faults) age() {
	kept := f.held[:0]
	for _, h := range f.held {
		if h.after--; h.after > 0 {
			kept = append(kept, h)
			continue
		}
		f.pass(h.packet, &h.from)
		f.spare = append(f.spare, h.packet)
	}
	f.held = kept
}

// late brings one of the held packets because nothing else arrives, and reports
// whether there was one.
func (f *faults) late() bool {
	if len(f.held) == 0 {
		return false
	}
	h := f.held[0]
	f.held = append(f.held[:0], f.held[1:]...)
	f.pass(h.packet, &h.from)
	f.spare = append(f.spare, h.packet)
	return true
}

// pass hands a packet over, at once or when the slow network has brought it.
func (f *faults) pass(packet []byte, from *sockaddr) {
	e := f.engine
	switch {
	case f.slow == nil:
		e.handle(packet, from)
	case f.slow.add(f.slow.now(), packet, from):
		e.counters.FaultsDelayed++
	default:
		e.counters.FaultsOverflowed++
	}
}

// release hands over what is due, within bounds, and reports whether anything was. The
// engine learns when it has to be driven for the rest.
func (f *faults) release() bool {
	e := f.engine
	if e.due == never && f.slow.first() == never {
		return false
	}
	now, n := f.slow.now(), 0
	for ; n < slowShare; n++ {
		packet, from := f.slow.take(now)
		if packet == nil {
			break
		}
		e.now = now
		e.handle(packet, from)
	}
	e.due = f.slow.first()
	return n > 0
}
