package rc

import (
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// receiveRead takes the expected packet, a READ request. It is answered by Next,
// packet by packet, from what the memory holds then.
func (q *QueuePair) receiveRead(p *wire.Packet) {
	a := &q.resp
	// A request must not take half of all packet numbers, or old ones could not be
	// distinguished from new ones.
	packets := q.packetsOf(p.Length)
	if a.message.kind != noMessage || len(p.Payload[0]) != 0 || p.Length > MaxMessageBytes || packets > wire.PSNMask/2 {
		q.refuse(a.expected, wire.NAKInvalidRequest, badRead)
		return
	}
	if p.Length > 0 {
		if _, ok := q.cfg.Memory.Remote(p.RKey, p.VA, p.Length, transport.RemoteRead); !ok {
			q.refuse(a.expected, wire.NAKRemoteAccess, notGranted)
			return
		}
	}
	r := a.saved.add()
	if r == nil {
		q.refuse(a.expected, wire.NAKInvalidRequest, tooManyReads)
		return
	}
	*r = resource{
		kind: savedRead, first: a.expected, packets: packets,
		va: p.VA, rkey: p.RKey, length: p.Length,
	}
	r.answerFrom(a.expected, packets, p.Length)
	q.carriedOut(p, packets, true)
}

// receiveAtomic takes the expected packet, a FETCH ADD or COMPARE SWAP. It is
// carried out with the processor's own instruction, and its result saved.
func (q *QueuePair) receiveAtomic(p *wire.Packet) {
	a := &q.resp
	if a.message.kind != noMessage || len(p.Payload[0]) != 0 || p.VA%wordBytes != 0 {
		q.refuse(a.expected, wire.NAKInvalidRequest, badAtomic)
		return
	}
	mem, ok := q.cfg.Memory.Remote(p.RKey, p.VA, wordBytes, transport.RemoteAtomic)
	if !ok {
		q.refuse(a.expected, wire.NAKRemoteAccess, notGranted)
		return
	}
	word := pages.Word(mem)
	if word == nil { // the peer's addresses are not the memory's
		q.refuse(a.expected, wire.NAKInvalidRequest, badAtomic)
		return
	}
	r := a.saved.add() // before it changes anything
	if r == nil {
		q.refuse(a.expected, wire.NAKInvalidRequest, tooManyReads)
		return
	}
	*r = resource{kind: savedAtomic, first: a.expected, packets: 1}
	r.answerFrom(a.expected, 1, 0)
	fault := pages.Guard(func() {
		if p.Opcode == wire.FetchAdd {
			r.original = word.Add(p.SwapAdd) - p.SwapAdd
			return
		}
		for r.original = word.Load(); r.original == p.Compare && !word.CompareAndSwap(p.Compare, p.SwapAdd); {
			r.original = word.Load()
		}
	})
	if fault != nil {
		*r = resource{answered: true} // there is nothing to answer
		q.refuse(a.expected, wire.NAKRemoteOperational, regionFaulted)
		return
	}
	q.carriedOut(p, 1, true)
}

// replay answers a READ or an atomic again that was carried out before, if it is
// remembered; all that the peer can still wait for are. It reports whether the
// packet is one of these.
func (q *QueuePair) replay(p *wire.Packet, psn sequence) bool {
	switch {
	case p.Opcode == wire.ReadRequest:
		if q.replayRead(p, psn) {
			q.counters.ReplayedReads++
		}
	case p.Opcode.IsAtomic():
		if r, index := q.resp.saved.find(psn); r != nil && r.kind == savedAtomic {
			r.answerFrom(psn, 1, 0)
			q.resp.saved.resume(index)
			q.counters.ReplayedAtomics++
		}
	default:
		return false
	}
	return true
}

// replayRead answers a READ, or a part of it, again. The part must be one of what
// was asked for before.
func (q *QueuePair) replayRead(p *wire.Packet, psn sequence) bool {
	r, index := q.resp.saved.find(psn)
	if r == nil || r.kind != savedRead || len(p.Payload[0]) != 0 {
		return false
	}
	offset := uint32(psn-r.first) * q.mtu
	if p.RKey != r.rkey || p.VA != r.va+uint64(offset) || p.Length > r.length-offset || p.Length == 0 && r.length > 0 {
		return false
	}
	r.answerFrom(psn, q.packetsOf(p.Length), offset+p.Length)
	q.resp.saved.resume(index)
	return true
}

// answer fills p with the next response. There is one.
func (q *QueuePair) answer(p *wire.Packet) {
	a := &q.resp
	r := a.saved.first()
	psn := r.next
	*p = wire.Packet{
		Opcode: wire.AtomicAcknowledge, PKey: wire.DefaultPKey, DestQP: q.cfg.PeerQPN, PSN: psn.onWire(),
		Original: r.original,
	}
	if r.kind == savedRead {
		offset := uint32(psn-r.first) * q.mtu
		if n := min(q.mtu, r.until-offset); n > 0 {
			data, ok := q.cfg.Memory.Remote(r.rkey, r.va+uint64(offset), n, transport.RemoteRead)
			if !ok {
				q.cannotAnswer(r, p)
				return
			}
			p.Payload[0] = data
			q.counters.BytesSent += uint64(n)
		}
		p.Opcode = readOpcode(psn == r.from, psn+1 == r.stop)
	}
	if p.Opcode != wire.ReadResponseMiddle {
		p.Syndrome, p.MSN = q.grant(), a.msn
	}
	q.counters.ResponsesSent++
	r.next++
	if r.next == r.stop {
		r.answered = true
		if r.stop == a.expected {
			a.acknowledged() // a response does that for what is before it
		}
	}
}

// cannotAnswer fills p with a NAK because the region of a READ was closed since it
// was carried out. That takes the queue pair to the error state, but not if the
// READ has been answered before: then its request may be a stale copy, long after the
// peer has got the answer; only the peer knows.
func (q *QueuePair) cannotAnswer(r *resource, p *wire.Packet) {
	a := &q.resp
	psn := r.next
	if !r.answered {
		a.saved.drop()
		q.refuse(psn, wire.NAKRemoteAccess, notGranted)
		q.refusal(p)
		return
	}
	r.next = r.stop
	q.nak(p, wire.NAKRemoteAccess, psn)
}

func readOpcode(first, last bool) wire.Opcode {
	switch {
	case first && last:
		return wire.ReadResponseOnly
	case first:
		return wire.ReadResponseFirst
	case last:
		return wire.ReadResponseLast
	}
	return wire.ReadResponseMiddle
}
