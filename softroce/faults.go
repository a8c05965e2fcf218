package softroce

import (
	"math/rand/v2"
)

// faults is a receiver around an intake that loses, duplicates, reorders and
// corrupts packets, for tests.
type faults struct {
	engine *engine
	in     *intake
	random *rand.Rand
	config faultConfig
	held   []heldPacket // to come later
	spare  [][]byte
}

// faultConfig is the probability of each fault, per packet.
type faultConfig struct {
	loss, duplicate, reorder, corrupt float64
	seed                              uint64
}

// heldPacket comes after some others, or when nothing else does.
type heldPacket struct {
	packet []byte
	from   sockaddr
	after  int // packets
}

func (c faultConfig) any() bool { return c.loss+c.duplicate+c.reorder+c.corrupt > 0 }

func newFaults(e *engine, c faultConfig) *faults {
	return &faults{engine: e, in: &e.in, config: c, random: rand.New(rand.NewPCG(c.seed, 0))}
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
	return n > 0 || f.late()
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
	f.engine.handle(packet, from)
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
		f.engine.handle(h.packet, &h.from)
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
	f.engine.handle(h.packet, &h.from)
	f.spare = append(f.spare, h.packet)
	return true
}
