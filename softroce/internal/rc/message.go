package rc

import (
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// message is a Send or Write of the peer with packets that are not yet carried out.
type message struct {
	kind    messageKind
	receive transport.WorkRequest // taken for a Send, or by the immediate of a Write

	// Of a Write.
	va     uint64
	rkey   uint32
	length uint32
	held   int // bytes of word that are not stored yet: see store
	word   [wordBytes]byte

	done uint64 // bytes stored
}

type messageKind uint8

const (
	noMessage messageKind = iota
	sendMessage
	writeMessage
)

// follows reports whether the packet is one that may come now, and as long as it
// must be: all packets of a message but the last one are full.
func (q *QueuePair) follows(p *wire.Packet, kind messageKind) bool {
	n := len(p.Payload[0])
	within := q.resp.message.kind
	switch o := p.Opcode; {
	case o.IsOnly():
		return within == noMessage && n <= int(q.mtu)
	case o.IsFirst():
		return within == noMessage && n == int(q.mtu)
	case o.IsMiddle():
		return within == kind && n == int(q.mtu)
	default:
		return within == kind && n >= 1 && n <= int(q.mtu)
	}
}

// Why packets are refused, in words.
const (
	badSequence     = "a packet that does not follow the one before it, or has a wrong length"
	badTotal        = "a WRITE with more or less data than it announced"
	badRead         = "a READ that is too long, has a payload, or came inside of another message"
	badAtomic       = "an atomic whose address is not a multiple of 8, that has a payload, or that came inside of another message"
	tooManyReads    = "more READs and atomics outstanding than agreed"
	notGranted      = "an unknown or revoked key, a range outside of its region, or a right that was not granted"
	receiveClosed   = "the region of the receive was closed"
	receiveTooShort = "a SEND that is longer than the receive"
	receiveFaulted  = "the memory of the receive is not mapped, or not writable"
	regionFaulted   = "the memory of the region is not mapped, or does not allow it"
)

// receiveSend takes the expected packet, of a SEND.
func (q *QueuePair) receiveSend(p *wire.Packet, now Time) {
	a := &q.resp
	m, data := &a.message, p.Payload[0]
	if !q.follows(p, sendMessage) {
		q.refuse(a.expected, wire.NAKInvalidRequest, badSequence)
		return
	}
	if m.kind == noMessage {
		wr, ok := q.cfg.Receives.Take()
		if !ok {
			q.turnAway(now)
			return
		}
		m.kind, m.receive, m.done = sendMessage, wr, 0
	}
	mem, ok := q.local(&m.receive)
	if !ok {
		q.abandonReceive(transport.StatusLocalProtection)
		q.refuse(a.expected, wire.NAKRemoteOperational, receiveClosed)
		return
	}
	if m.done+uint64(len(data)) > m.receive.Bytes() {
		q.abandonReceive(transport.StatusLocalLength)
		q.refuse(a.expected, wire.NAKInvalidRequest, receiveTooShort)
		return
	}
	if !scatter(part(mem, int(m.done), len(data)), data) {
		q.abandonReceive(transport.StatusLocalProtection)
		q.refuse(a.expected, wire.NAKRemoteOperational, receiveFaulted)
		return
	}
	m.done += uint64(len(data))
	q.counters.BytesReceived += uint64(len(data))
	ends := p.Opcode.IsLast()
	q.carriedOut(p, 1, ends)
	if ends {
		q.cfg.Sink.Received(&m.receive, transport.Completion{
			ID: m.receive.ID, Conn: q.cfg.Conn, Op: transport.OpRecv,
			Bytes: uint32(m.done), Imm: p.Imm, HasImm: p.Opcode.HasImm(),
		}, p.Solicited)
	}
}

// turnAway takes the expected packet when there is no receive for it: it remains
// the expected one.
func (q *QueuePair) turnAway(now Time) {
	a := &q.resp
	a.nak, a.nakPSN = wire.SyndromeRNR|q.cfg.RNRTimer&wire.SyndromeValue, a.expected
	a.silent, a.silentFrom, a.turnedAway = true, now, true
	a.acknowledged() // the NAK does that
}

// abandonReceive ends the receive of a message that is not complete, if there is
// one.
func (q *QueuePair) abandonReceive(status transport.Status) {
	m := &q.resp.message
	if m.kind == sendMessage {
		q.cfg.Sink.Received(&m.receive, transport.Completion{
			ID: m.receive.ID, Conn: q.cfg.Conn, Op: transport.OpRecv, Status: status,
		}, true)
	}
	m.kind = noMessage
}

// receiveWrite takes the expected packet, of a WRITE.
func (q *QueuePair) receiveWrite(p *wire.Packet, now Time) {
	a := &q.resp
	m, data := &a.message, p.Payload[0]
	if !q.follows(p, writeMessage) {
		q.refuse(a.expected, wire.NAKInvalidRequest, badSequence)
		return
	}
	begins, ends := m.kind == noMessage, p.Opcode.IsLast()
	if begins { // kind remains noMessage until the packet is carried out
		m.va, m.rkey, m.length, m.done, m.held = p.VA, p.RKey, p.Length, 0, 0
	}
	left := uint64(m.length) - m.done - uint64(m.held)
	if n := uint64(len(data)); n > left || ends != (n == left) {
		q.refuse(a.expected, wire.NAKInvalidRequest, badTotal)
		return
	}
	var mem []byte
	if m.length > 0 { // else the key does not matter
		// Check the rights to the whole range at the beginning, and to this packet's
		// part each time: the region may have been revoked.
		need := uint32(m.held + len(data))
		if begins {
			need = m.length
		}
		var ok bool
		if mem, ok = q.cfg.Memory.Remote(m.rkey, m.va+m.done, need, transport.RemoteWrite); !ok {
			q.refuse(a.expected, wire.NAKRemoteAccess, notGranted)
			return
		}
	}
	imm := p.Opcode.HasImm()
	if imm {
		var ok bool
		if m.receive, ok = q.cfg.Receives.Take(); !ok {
			q.turnAway(now)
			return
		}
	}
	if !m.store(mem, data, uint64(m.length)-m.done) {
		if imm {
			q.cfg.Sink.Received(&m.receive, transport.Completion{
				ID: m.receive.ID, Conn: q.cfg.Conn, Op: transport.OpRecv, Status: transport.StatusLocalProtection,
			}, true)
		}
		q.refuse(a.expected, wire.NAKRemoteOperational, regionFaulted)
		return
	}
	m.kind = writeMessage
	q.counters.BytesReceived += uint64(len(data))
	q.carriedOut(p, 1, ends)
	if imm {
		q.cfg.Sink.Received(&m.receive, transport.Completion{
			ID: m.receive.ID, Conn: q.cfg.Conn, Op: transport.OpRecvImm,
			Bytes: m.length, Imm: p.Imm, HasImm: true,
		}, p.Solicited)
	}
}

// store writes a packet's data, behind what is held, to the beginning of mem. left
// is how many bytes of the message were not stored, those included. It is false
// when the memory is not there.
//
// A program may watch the last word of what is written, if it ends on a multiple
// of 8: it is stored last and in one piece. If it begins in the packet before the
// last one, that part of it is held back until then.
func (m *message) store(mem, data []byte, left uint64) bool {
	return pages.Guard(func() { m.storeUnguarded(mem, data, left) }) == nil
}

func (m *message) storeUnguarded(mem, data []byte, left uint64) {
	n := uint64(m.held + len(data))
	switch {
	case m.held > 0: // the rest of the word, as the lengths were checked
		copy(m.word[m.held:], data)
		pages.Place(mem, m.word[:])
		m.held = 0
	case n == left:
		pages.Place(mem[:n], data)
	case left-n < wordBytes && (pages.Address(mem)+left)%wordBytes == 0:
		m.held = int(wordBytes - (left - n))
		n -= uint64(m.held)
		copy(mem, data[:n])
		copy(m.word[:], data[n:])
	default:
		copy(mem, data)
	}
	m.done += n
}
