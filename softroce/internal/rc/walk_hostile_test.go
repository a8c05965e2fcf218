package rc_test

import (
	"bytes"
	"time"

	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// This file forges packets: with a good ICRC and the right queue pair number, as
// an attacker could who sees or guesses that much.

// drawHostile draws a walk that ends soon, whatever is done to it.
func drawHostile(w *walk) settings {
	s := drawFaults(w)
	if w.kind.mayFail {
		s.retries = 3
	}
	return s
}

// beginHostile forges packets whose sequence numbers are not those of anything
// under way. They must change nothing.
func beginHostile(w *walk) {
	w.forge(func(s *side, p *wire.Packet) {
		// What s has under way is at most a window beyond what its peer has carried
		// out or before it, and so is what the peer may answer.
		far := 4*(w.window+w.maxBytes/w.mtu) + 200
		if oneIn(w.random, 2) {
			far += w.random.IntN(1<<23 - 1<<12 - far)
		}
		if oneIn(w.random, 2) {
			far = -far
		}
		if p.Opcode.IsRequest() {
			p.PSN = wire.PSNAdd(s.q.Delivered(), far)
			if p.Opcode == wire.ReadRequest {
				// Answered again if it was carried out: the answer must not reach into
				// what is under way.
				p.Length %= uint32(100 * w.mtu)
			}
		} else {
			p.PSN = wire.PSNAdd(s.peer.q.Delivered(), far)
		}
	})
}

// beginForged forges packets that may well be taken for the peer's. The connection
// may break, and what the peer may change may be anything. All else is safe.
func beginForged(w *walk) {
	w.lawless = true
	w.forge(func(s *side, p *wire.Packet) {
		near := w.random.IntN(9) - 4
		if oneIn(w.random, 3) {
			near = 0
		}
		if p.Opcode.IsRequest() {
			p.PSN = wire.PSNAdd(s.q.Delivered(), near)
		} else {
			p.PSN = wire.PSNAdd(s.peer.q.Delivered(), near)
		}
	})
	w.net.After(between(w.random, time.Millisecond, 20*time.Millisecond), func() {
		for _, s := range w.sides {
			s.shut(errClosed, transport.StatusFlushed)
		}
	})
	readable := map[*region][]byte{}
	for _, s := range w.sides {
		readable[s.readable] = bytes.Clone(s.readable.host.mem(s.readable.at))
	}
	w.atEnd = func() {
		for r, held := range readable {
			if !bytes.Equal(held, r.host.mem(r.at)) {
				w.failf("%s: memory was changed that is for reading only", r.name)
			}
		}
		for _, h := range w.hosts {
			for _, r := range h.regions {
				h.adopt(r.at) // the guards remain
			}
		}
	}
}

// forge sends forged packets to all sides, now and then, as long as the walk goes
// on. aim gives them their sequence numbers.
func (w *walk) forge(aim func(s *side, p *wire.Packet)) {
	mean := float64(max(w.gap, w.roundTrip()/20)) * pick(w.random, 1, 3, 10.0)
	var next func()
	next = func() {
		if w.done() {
			return
		}
		s := pick(w.random, w.sides...)
		p := w.forgery(s)
		aim(s, &p)
		w.note("forged for %s: %s", s.name, describePacket(&p))
		w.provoked += 10*w.window + int(p.Length)/w.mtu
		s.host.handle(&p)
		w.net.After(1+time.Duration(w.random.ExpFloat64()*mean), next)
	}
	w.net.After(1, next)
}

// forgery makes a packet for a side. Half of it is right, mostly.
func (w *walk) forgery(s *side) wire.Packet {
	r := w.random
	p := wire.Packet{
		Opcode:     wire.Opcode(r.IntN(int(wire.FetchAdd) + 1)),
		Solicited:  oneIn(r, 4),
		Migrated:   oneIn(r, 4),
		AckRequest: oneIn(r, 2),
		Congested:  oneIn(r, 8), CongestedBack: oneIn(r, 8),
		PKey:   wire.DefaultPKey,
		DestQP: s.qpn,
	}
	if p.Opcode.HasRETH() || p.Opcode.HasAtomicETH() {
		at := pick(r, s.host.regions...)
		p.RKey = at.key
		p.VA = s.host.base + uint64(at.at.off) + uint64(r.IntN(at.at.n+64)) - 32
		p.Length = uint32(pick(r, 0, 1, 8, w.mtu, w.mtu+1, r.IntN(at.at.n+64), r.IntN(1<<31)))
		switch r.IntN(8) {
		case 0:
			p.RKey = r.Uint32()
		case 1:
			p.VA = r.Uint64()
		case 2:
			p.VA = -uint64(r.IntN(100)) // the end of all addresses
		}
	}
	if p.Opcode.HasAtomicETH() {
		p.VA &^= uint64(pick(r, 7, 7, 0))
		p.SwapAdd, p.Compare = r.Uint64(), r.Uint64()
		p.Length = 0
	}
	if p.Opcode.HasAETH() {
		p.Syndrome = uint8(pick(r, 0, wire.SyndromeRNR, wire.SyndromeNAK, wire.SyndromeNAK, 0x40, 0x80)) | uint8(r.IntN(32))
		p.MSN = r.Uint32() & wire.PSNMask
	}
	p.Original, p.Imm = r.Uint64(), r.Uint32()
	if p.Opcode.HasPayload() {
		n := pick(r, 0, 1, 8, w.mtu, w.mtu, w.mtu-1, r.IntN(4096+1))
		p.Payload[0] = make([]byte, n)
		scramble(p.Payload[0], r.Uint64())
		if oneIn(r, 2) && p.Opcode.IsOnly() {
			p.Length = uint32(n)
		}
	}
	return p
}
