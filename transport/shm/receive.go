package shm

import (
	"fmt"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/transport"
)

// receiveSide is written by the owner of the receive queue.
type receiveSide struct {
	slot  *slot         // of the peer's next message
	next  uint32        // its index
	acked uint32        // the peer knows that messages before this one are consumed
	rung  uint32        // the peer's send bell, answered
	alone atomic.Uint32 // 1: the last WriteImm was waited for, so they go to and fro one at a time; for the poster
	owed  bool          // the peer waits for an acknowledgement, and does not ask again
	ended bool          // nothing more will be consumed
}

// receive consumes messages of the peer as long as there are receives for them
// and room in dst, and returns the number of completions. It belongs to the
// owner of the receive queue.
func (qp *queuePair) receive(dst []transport.Completion) int {
	r := &qp.recv
	n := 0
	for n < len(dst) && !r.ended && r.slot.sequence.Load() == r.next+1 {
		outcome := qp.deliver(r.slot, &dst[n])
		if outcome == stays {
			break
		}
		if outcome != rejected {
			n++
		}
		if outcome == delivered {
			r.next++
			r.slot = &qp.peer.slots[r.next&qp.peer.mask]
		}
	}
	if n == 0 || r.owed || r.next-r.acked > qp.peer.mask/2 {
		// With nothing to do, or before the peer runs out of room. Not right after
		// a message: a reply that the program posts now goes first.
		qp.acknowledge()
	}
	if n < len(dst) && qp.state.Load() != stateReady {
		n += qp.windDown(dst[n:])
	}
	return n
}

// acknowledge publishes what was consumed.
func (qp *queuePair) acknowledge() {
	if r := &qp.recv; r.acked != r.next {
		r.acked = r.next
		r.owed = false
		qp.own.acked.Store(r.next)
		qp.ringSender()
	}
}

// ringSender wakes the peer if it sleeps, waiting for acknowledgements.
func (qp *queuePair) ringSender() {
	v := qp.peer.sendBell.Load()
	if v == qp.recv.rung {
		return
	}
	qp.recv.rung = v
	qp.own.rungSend.Store(v) // before ringing: see ringReceiver
	qp.cfg.Control.Notify(byte(messageRingSender))
}

// outcome is the result of looking at a message.
type outcome uint8

const (
	delivered outcome = iota // consumed, with a completion
	stays                    // cannot be consumed yet
	refused                  // the connection failed, with a completion for the receive
	rejected                 // the connection failed, the receive is still to be flushed
)

// deliver consumes one message. A hostile peer could change the slot while it
// is being read: each field is read once, and checked.
func (qp *queuePair) deliver(s *slot, c *transport.Completion) outcome {
	kind := s.kind
	if kind == slotWriteImm {
		prefetch(s.references()[0].addr) // the program will look at what was written next
		if qp.recvCQ.waited {
			// The answer often goes where the last one went. The peer has read that, so its copy
			// of the line has to be taken back, which takes as long as the software does.
			prefetchToWrite(qp.send.written.Load())
			order.Publish(&qp.recv.alone, 1)
		} else {
			order.Publish(&qp.recv.alone, 0)
		}
	}
	if qp.state.Load() == stateClosed {
		return stays
	}
	wr := qp.receives.First()
	if wr == nil {
		if wr = qp.receives.Starve(); wr == nil {
			return stays
		}
	}
	if !qp.shared && qp.receives.Starved.Load() {
		qp.receives.Starved.Store(false) // a shared queue's may be due to another connection
	}
	if s.flags&transport.Solicited != 0 {
		qp.recvCQ.urgent = true
	}
	// Field by field: a literal is put together elsewhere and copied, which the
	// program's first look at a field would have to wait for.
	c.ID, c.Conn, c.Bytes, c.Vendor, c.Status = wr.ID, qp.cfg.Conn, s.bytes, 0, transport.StatusOK
	if kind == slotWriteImm {
		c.Imm, c.HasImm, c.Op = s.imm, true, transport.OpRecvImm
		qp.receives.Take()
		return delivered
	}
	c.Imm, c.HasImm, c.Op = 0, false, transport.OpRecv
	parts, ready, ok := qp.payload(s, kind, c.Bytes)
	switch {
	case !ready:
		return stays
	case !ok:
		qp.refuse(transport.StatusLocalProtection, "the sender's memory is not there: its region was closed")
		return rejected
	}
	first, ok1 := qp.domain.local(wr.Local)
	second, ok2 := qp.domain.local(wr.SecondSpan())
	switch room := len(first) + len(second); {
	case !ok1 || !ok2:
		c.Status = transport.StatusLocalProtection
		qp.refuse(transport.StatusRemoteOperation, "the region of a posted receive was closed")
	case int(c.Bytes) > room:
		c.Status = transport.StatusLocalLength
		qp.refuse(transport.StatusRemoteInvalidRequest, fmt.Sprintf("a message of %d bytes met a receive of %d", c.Bytes, room))
	default:
		scatter(first, second, parts)
		qp.receives.Take()
		return delivered
	}
	c.Bytes = 0
	qp.receives.Take()
	return refused
}

// payload finds the bytes of a message, in up to two parts. ready is false when
// they are in a region whose announcement has not arrived yet.
func (qp *queuePair) payload(s *slot, kind slotKind, bytes uint32) (parts [2][]byte, ready, ok bool) {
	switch {
	case kind == slotSendShort && bytes <= slotInline:
		parts[0] = s.payload[:bytes]
	case kind == slotSendSide && bytes <= sideBytes:
		parts[0] = qp.peer.sideOf(qp.recv.next)[:bytes]
	case kind == slotSendSpans:
		total := uint64(0)
		refs := *s.references()
		for i, ref := range refs {
			if ref.len == 0 {
				continue
			}
			seen, announced := qp.peers.seen.Load(), qp.peer.announced.Load()
			r := qp.peers.get(ref.key)
			if r == nil && seen != announced && qp.linkDown.Load() == linkUp {
				return parts, false, false
			}
			if r == nil {
				return parts, true, false
			}
			if parts[i], ok = r.bytes(ref.addr, ref.len, transport.LocalOnly); !ok {
				return parts, true, false
			}
			total += uint64(ref.len)
		}
		return parts, true, total == uint64(bytes)
	default:
		return parts, true, false
	}
	return parts, true, true
}

// scatter copies the parts, one after the other, to first and then second,
// which have room for them.
func scatter(first, second []byte, parts [2][]byte) {
	for _, part := range parts {
		n := copyBlocks(first, part)
		first = first[n:]
		second = second[copyBlocks(second, part[n:]):]
	}
}

// refuse takes the connection to the error state because of the message that is
// next; status is for its sender.
func (qp *queuePair) refuse(status transport.Status, why string) {
	qp.own.failedIndex.Store(qp.recv.next)
	qp.own.failure.Store(uint32(status))
	qp.end()
	qp.fail(fmt.Errorf("%s", why), status)
}

// end publishes what was consumed, and that no more will be.
func (qp *queuePair) end() {
	if qp.recv.ended {
		return
	}
	qp.recv.ended = true
	qp.recvCQ.urgent = true
	qp.acknowledge()
	qp.own.ended.Store(1)
	qp.ringSender()
}

// windDown, in the error state and when nothing more can be consumed, flushes
// the receives.
func (qp *queuePair) windDown(dst []transport.Completion) int {
	qp.end()
	n := 0
	if !qp.shared {
		for n < len(dst) {
			wr := qp.receives.Take()
			if wr == nil {
				break
			}
			dst[n] = transport.Completion{ID: wr.ID, Conn: qp.cfg.Conn, Op: transport.OpRecv, Status: transport.StatusFlushed}
			n++
		}
	}
	qp.settleReceives()
	return n
}

// advance serves the receive side for a program that does not poll while the
// peer waits. If the program polls, advance leaves it to the program.
func (qp *queuePair) advance() {
	if !qp.advancing.request() {
		return
	}
	go qp.recvCQ.run(&qp.advancing, func() { qp.recvCQ.receiveInBackground(qp) })
}
