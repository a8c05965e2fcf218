package rc

import (
	"encoding/binary"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// handleAcknowledge takes an ACK or a NAK.
func (q *QueuePair) handleAcknowledge(p *wire.Packet, now Time) {
	t := &q.req
	psn := t.oldest.near(p.PSN)
	kind := p.Syndrome & wire.SyndromeKind
	if kind == wire.SyndromeACK && psn < t.end {
		q.counters.AcksReceived++
		q.learnCredits(p, psn)
	}
	if psn < t.oldest || psn >= t.end {
		q.counters.StaleAcks++
		return
	}
	switch kind {
	case wire.SyndromeACK:
		if q.acknowledged(psn+1, now); t.oldest <= psn {
			q.responseLost(now)
		}
	case wire.SyndromeRNR, wire.SyndromeNAK:
		// It acknowledges what is before it.
		if q.acknowledged(psn, now); t.oldest < psn {
			q.countNAK(p.Syndrome)
			q.responseLost(now)
			return
		}
		q.handleNAK(p.Syndrome, now)
	default:
		q.counters.InvalidPackets++
	}
}

// handleNAK takes a NAK for the oldest packet.
func (q *QueuePair) handleNAK(syndrome uint8, now Time) {
	if !q.countNAK(syndrome) {
		q.counters.InvalidPackets++
		return
	}
	switch syndrome {
	case wire.NAKSequence:
		q.missing(now)
	case wire.NAKInvalidRequest:
		q.failOldest(transport.StatusRemoteInvalidRequest, refusedByPeer, false)
	case wire.NAKRemoteAccess:
		// A peer that could not answer a READ again is not in the error state.
		again := q.sends.at(q.sends.head).Op == transport.OpRead && q.req.oldest < q.req.repeat.end
		q.failOldest(transport.StatusRemoteAccess, refusedByPeer, again)
	case wire.NAKRemoteOperational:
		q.failOldest(transport.StatusRemoteOperation, refusedByPeer, false)
	default:
		q.rest(syndrome&wire.SyndromeValue, now)
	}
}

// countNAK counts a NAK that was received, and reports whether it is one.
func (q *QueuePair) countNAK(syndrome uint8) bool {
	c := q.counters
	switch {
	case syndrome == wire.NAKSequence:
		c.SequenceNAKsReceived++
	case syndrome == wire.NAKInvalidRequest:
		c.InvalidRequestNAKsReceived++
	case syndrome == wire.NAKRemoteAccess:
		c.RemoteAccessNAKsReceived++
	case syndrome == wire.NAKRemoteOperational:
		c.RemoteOperationNAKsReceived++
	case syndrome&wire.SyndromeKind == wire.SyndromeRNR:
		c.RNRNAKsReceived++
	default:
		return false
	}
	return true
}

// handleResponse takes a READ response or an atomic's acknowledgement. It
// acknowledges what is before it.
func (q *QueuePair) handleResponse(p *wire.Packet, now Time) {
	t := &q.req
	psn := t.oldest.near(p.PSN)
	if psn < t.oldest || psn >= t.end {
		q.counters.StaleAcks++
		return
	}
	if p.Opcode.HasAETH() {
		if p.Syndrome&wire.SyndromeKind != wire.SyndromeACK {
			q.counters.InvalidPackets++
			return
		}
		q.learnCredits(p, psn)
	}
	if q.acknowledged(psn, now); t.oldest < psn {
		q.responseLost(now)
		return
	}
	r := q.sends.at(q.sends.head)
	switch {
	case r.Op == transport.OpRead && p.Opcode.IsReadResponse():
		q.takeRead(r, p, now)
	case r.awaitsResponse() && r.Op != transport.OpRead && p.Opcode == wire.AtomicAcknowledge:
		q.takeAtomic(r, p, now)
	default:
		q.counters.InvalidPackets++
	}
}

// takeRead stores the response that the Read at the head waits for.
func (q *QueuePair) takeRead(r *request, p *wire.Packet, now Time) {
	t := &q.req
	data := p.Payload[0]
	index := uint32(t.oldest - r.first)
	offset := index * q.mtu
	ends := t.oldest+1 == t.parts.end() // the answer to a READ request
	if len(data) != int(min(q.mtu, r.bytes-offset)) || p.Opcode.IsLast() != ends {
		q.counters.InvalidPackets++
		return
	}
	mem, ok := q.local(&r.WorkRequest)
	if !ok {
		q.failOldest(transport.StatusLocalProtection, closedLocally, true)
		return
	}
	if !scatter(part(mem, int(offset), len(data)), data) {
		q.failOldest(transport.StatusLocalProtection, faultedLocally, true)
		return
	}
	q.counters.ResponsesReceived++
	q.counters.BytesReceived += uint64(len(data))
	if ends {
		t.parts.answered()
	}
	q.answered(r, now)
}

// takeAtomic stores the result that the atomic at the head waits for.
func (q *QueuePair) takeAtomic(r *request, p *wire.Packet, now Time) {
	mem, ok := q.local(&r.WorkRequest)
	if !ok || len(mem[0]) != wordBytes {
		q.failOldest(transport.StatusLocalProtection, closedLocally, true)
		return
	}
	var result [wordBytes]byte
	binary.NativeEndian.PutUint64(result[:], p.Original)
	if pages.Guard(func() { pages.Place(mem[0], result[:]) }) != nil {
		q.failOldest(transport.StatusLocalProtection, faultedLocally, true)
		return
	}
	q.counters.ResponsesReceived++
	q.req.parts.answered()
	q.answered(r, now)
}

// answered moves on behind the oldest packet, whose response was used.
func (q *QueuePair) answered(r *request, now Time) {
	t := &q.req
	t.oldest++
	if t.oldest == r.end() {
		q.finish(transport.StatusOK)
	}
	q.progressed(1, now)
}

// acknowledged ends what is before psn, up to the first READ or atomic that has
// not been answered.
func (q *QueuePair) acknowledged(psn sequence, now Time) {
	t := &q.req
	before := t.oldest
	q.advance(psn)
	if t.oldest != before {
		q.progressed(int(t.oldest-before), now)
	}
}

func (q *QueuePair) advance(psn sequence) {
	t := &q.req
	for t.oldest < psn {
		r := q.sends.at(q.sends.head)
		if r.awaitsResponse() {
			return
		}
		t.oldest = min(psn, r.end())
		if t.oldest == r.end() {
			q.finish(transport.StatusOK)
		}
	}
}

// progressed resets what depends on progress: n packets were acknowledged.
func (q *QueuePair) progressed(n int, now Time) {
	t := &q.req
	t.retries, t.rnrRetries, t.restUntil, t.probed = 0, 0, 0, false
	t.window.acknowledged(n)
	t.roundTrip.acknowledged(t.oldest, now)
	q.catchUp()
	if t.oldest == t.end {
		t.deadline = 0
	} else {
		q.startTimer(now)
	}
}

// catchUp skips packets to be sent again that have been acknowledged meanwhile.
func (q *QueuePair) catchUp() {
	if t := &q.req; t.next < t.oldest {
		t.probing = false
		t.next = t.oldest
		q.sends.cursor = q.sends.head
	}
}

// learnCredits records an ACK's credits. A requester that was turned away continues
// when there is a receive for its message: the responder then sends an ACK unasked.
func (q *QueuePair) learnCredits(p *wire.Packet, psn sequence) {
	t := &q.req
	newest := psn+1 >= t.oldest || q.tellsOfAll(p)
	t.credits.learn(p, t.message, newest)
	if t.restUntil == 0 {
		return
	}
	// Only its number shows whether "no limit" is later than the RNR NAK.
	waiting := q.sends.at(q.sends.head)
	if t.credits.limited && t.credits.covers(waiting.message) || !t.credits.limited && newest && psn < t.oldest {
		t.restUntil = 0
	}
}

// tellsOfAll reports whether the peer has sent an ACK after everything before the
// oldest packet, although its number is a lower one: it leaves out READs and
// atomics, which its MSN counts.
func (q *QueuePair) tellsOfAll(p *wire.Packet) bool {
	t := &q.req
	if t.oldest == t.end {
		return p.MSN == t.message.onWire()
	}
	oldest := q.sends.at(q.sends.head)
	return t.oldest == oldest.first && p.MSN == (oldest.message-1).onWire()
}

// PeerDelivered takes the peer's last Delivered, which came over the stream: everything
// before psn was carried out. Reads and atomics whose response is missing are left alone.
func (q *QueuePair) PeerDelivered(psn uint32) {
	t := &q.req
	to := t.oldest.near(psn)
	if q.err != nil || to <= t.oldest || to > t.end {
		return
	}
	q.advance(to)
	q.catchUp()
	if t.oldest == t.end {
		t.deadline, t.restUntil = 0, 0
	}
}
