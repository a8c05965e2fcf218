package rc

import (
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// requester is the state of what is sent: packets
//
//	      oldest           next               end
//	ended |  sent, but not | to be sent again | never sent
//	      |  acknowledged  |                  |
//
// oldest is always in the request at the head of the send queue, and next in the
// one at its cursor; when nothing is to be sent again, next is end.
type requester struct {
	oldest, next, end sequence
	message           sequence // number of the last message begun
	parts             parts    // READ requests and atomics before end that are not answered
	unasked           int      // packets in a row that asked for no acknowledgement
	probe             sequence // packet that was sent without credit: nothing behind it until it is acknowledged

	window    window
	roundTrip roundTrip
	credits   credits
	repeat    repeat

	deadline   Time // when oldest is late; 0: nothing is in flight
	probed     bool // the end was probed since the last progress
	probing    bool // next is sent again as a probe
	restUntil  Time // the peer has no receive, and nothing is sent before; 0: it has
	retries    int  // timeouts since the last progress
	rnrRetries int  // waits for a receive since the last progress
}

const (
	// askEvery is how many packets in a row may ask for no acknowledgement; see also
	// window.askEvery.
	askEvery = 64
)

func (r *requester) init(cfg *Config) {
	r.oldest = firstSequence(cfg.SendPSN)
	r.next, r.end = r.oldest, r.oldest
	r.message = firstSequence(0)
	r.window.init(cfg.Window)
	r.parts.init(cfg.MaxReads)
	r.roundTrip.init(cfg.MinTimeout, cfg.AckTimeout)
	r.credits.init()
}

// inFlight is the number of packets that were sent, or asked for, since the last
// time that the requester went back, and not acknowledged.
func (r *requester) inFlight() int { return int(r.next - r.oldest) }

// nextRequest fills p with the next packet of the send queue's requests.
func (q *QueuePair) nextRequest(now Time, p *wire.Packet) bool {
	t := &q.req
	if t.restUntil != 0 {
		if now < t.restUntil {
			return false
		}
		t.restUntil = 0
	}
	if t.inFlight() >= t.window.size || t.oldest <= t.probe && t.next > t.probe {
		return false
	}
	if q.sends.cursor == q.sends.begun && !q.begin() {
		return false
	}
	r := q.sends.at(q.sends.cursor)
	switch r.Op {
	case transport.OpRead:
		return q.nextRead(r, now, p)
	case transport.OpFetchAdd, transport.OpCompareSwap:
		return q.nextAtomic(r, now, p)
	}
	return q.nextData(r, now, p)
}

// begin gives the next posted request its numbers, unless there is none or a
// fence is before it.
func (q *QueuePair) begin() bool {
	s, t := &q.sends, &q.req
	if s.begun == s.posted.Load() {
		return false
	}
	r := s.at(s.begun)
	if r.Flags&transport.Fence != 0 && t.parts.count() > 0 {
		return false
	}
	s.begun++
	r.first = t.end
	if r.Op != transport.OpRead { // each of its parts is a message
		t.message++
		r.message = t.message
	}
	return true
}

// nextData is the next packet of a Send, Write or WriteImm.
func (q *QueuePair) nextData(r *request, now Time, p *wire.Packet) bool {
	t := &q.req
	index := uint32(t.next - r.first)
	first, last := index == 0, index+1 == r.packets
	beyond := q.beyondCredits(r, last)
	if beyond && t.inFlight() > 0 && t.unasked == 0 { // it is sent when it is alone, or has credit
		return false
	}
	offset := index * q.mtu
	n := min(q.mtu, r.bytes-offset)
	*p = wire.Packet{
		Opcode: dataOpcode(r.Op, first, last), PKey: wire.DefaultPKey, DestQP: q.cfg.PeerQPN, PSN: t.next.onWire(),
		Solicited: last && r.Flags&transport.Solicited != 0,
	}
	if !q.gather(&p.Payload, r, int(offset), int(n)) {
		return q.closedLocally()
	}
	// Ask also where the requester may have to stop: when the window is full, or before
	// an immediate that there is no credit for; and at the end of what is sent again.
	// Otherwise an unsignaled request is acknowledged with others, or after a tail probe.
	t.unasked++
	ask := last && r.Flags&transport.Signaled != 0 || t.unasked >= t.window.askEvery() || t.inFlight()+1 >= t.window.size ||
		t.next+1 == t.end || beyond || index+2 == r.packets && q.beyondCredits(r, true)
	if ask {
		p.AckRequest, t.unasked = true, 0
	}
	if beyond {
		t.probe = t.next
	}
	if first && r.Op != transport.OpSend {
		p.VA, p.RKey, p.Length = r.Remote.Addr, uint32(r.Remote.Key), r.bytes
	}
	if last && r.Op == transport.OpWriteImm {
		p.Imm = r.Imm
	}
	q.counters.BytesSent += uint64(n)
	q.sent(r, 1, ask, now)
	return true
}

// dataOpcode is the opcode of a packet of a Send, Write or WriteImm.
func dataOpcode(op transport.Op, first, last bool) wire.Opcode {
	o := wire.SendFirst
	if op != transport.OpSend {
		o = wire.WriteFirst
	}
	switch {
	case first && last:
		o += wire.SendOnly
	case last:
		o += wire.SendLast
	case !first:
		o += wire.SendMiddle
	}
	if last && op == transport.OpWriteImm {
		o++
	}
	return o
}

// nextRead is the next READ request: for a part of the Read, or what is missing of
// it.
func (q *QueuePair) nextRead(r *request, now Time, p *wire.Packet) bool {
	t := &q.req
	anew := t.next == t.end
	end := t.parts.next()
	if anew {
		end = min(t.next+sequence(t.window.readPart()), r.end())
	}
	packets := uint32(end - t.next)
	if anew && t.parts.count() >= q.cfg.MaxReads {
		return false
	}
	if t.inFlight()+int(packets) > t.window.size && t.inFlight() > t.unasked {
		return false // what is in flight, and asked, will make room
	}
	if _, ok := q.local(&r.WorkRequest); !ok { // do not ask for bytes that cannot be stored
		return q.closedLocally()
	}
	offset := uint32(t.next-r.first) * q.mtu
	*p = wire.Packet{
		Opcode: wire.ReadRequest, AckRequest: true,
		PKey: wire.DefaultPKey, DestQP: q.cfg.PeerQPN, PSN: t.next.onWire(),
		VA: r.Remote.Addr + uint64(offset), RKey: uint32(r.Remote.Key), Length: min(packets*q.mtu, r.bytes-offset),
	}
	if anew {
		t.message++
	}
	t.askedFor(end, anew)
	q.sent(r, packets, true, now)
	return true
}

// nextAtomic is the request of an atomic.
func (q *QueuePair) nextAtomic(r *request, now Time, p *wire.Packet) bool {
	t := &q.req
	anew := t.next == t.end
	if anew && t.parts.count() >= q.cfg.MaxReads {
		return false
	}
	if _, ok := q.local(&r.WorkRequest); !ok { // before it changes anything
		return q.closedLocally()
	}
	*p = wire.Packet{
		Opcode: wire.FetchAdd, AckRequest: true,
		PKey: wire.DefaultPKey, DestQP: q.cfg.PeerQPN, PSN: t.next.onWire(),
		VA: r.Remote.Addr, RKey: uint32(r.Remote.Key), SwapAdd: r.Addend(),
	}
	if r.Op == transport.OpCompareSwap {
		p.Opcode, p.Compare, p.SwapAdd = wire.CompareSwap, r.Compare(), r.Swap()
	}
	t.askedFor(t.next+1, anew)
	q.sent(r, 1, true, now)
	return true
}

// askedFor records a READ request or atomic that is answered up to end (exclusive).
func (r *requester) askedFor(end sequence, anew bool) {
	if anew {
		r.parts.sent(end)
	} else {
		r.parts.sentAgain()
	}
	r.unasked = 0
}

// sent moves next behind a packet of a request; packets is how many numbers it
// takes. answered: the peer will answer at once.
func (q *QueuePair) sent(r *request, packets uint32, answered bool, now Time) {
	t := &q.req
	anew := t.next == t.end
	if t.probing {
		t.probing = false
		q.counters.Probes++
	} else if anew {
		q.counters.DataSent++
		if answered {
			t.roundTrip.begin(t.next, now)
		}
		t.end += sequence(packets)
	} else {
		q.counters.Retransmitted++
	}
	t.next += sequence(packets)
	if t.next == r.end() {
		q.sends.cursor++
	}
	if t.deadline == 0 || anew && t.mayProbe() { // a probe is for the end of what is sent
		q.startTimer(now)
	}
}

// packetsOf is how many packet numbers a message of n bytes takes.
func (q *QueuePair) packetsOf(n uint32) uint32 {
	if n <= q.mtu {
		return 1
	}
	return (n-1)/q.mtu + 1
}
