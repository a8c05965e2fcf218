package shm

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/transport"
)

// sendSide is what the posting goroutine writes.
type sendSide struct {
	// posted is the number of requests posted (low half, modulo 2^32) and of
	// signaled ones among them (high half). Storing it makes entries visible to
	// the poller.
	posted   atomic.Uint64
	messages uint32        // messages put into the own ring
	headSeen uint32        // a past value of comp.head
	rung     uint32        // the peer's receive bell, answered
	remote   *remoteRegion // the last one used
	written  atomic.Uint64 // where the last WriteImm's bytes begin here, for the poller
	entries  []sendEntry   // ring by request number, shared with the poller

	condemned error       // why a request failed, which ends the connection; read by the poller of that request
	postponed []postponed // in order
	waiting   atomic.Bool // there are some
}

// sendEntry is a posted request, as far as its completion needs it.
type sendEntry struct {
	id       uint64
	message  uint32 // index in the own ring, if awaits
	op       transport.Op
	status   transport.Status
	signaled bool
	awaits   bool // it is done when the peer has consumed message
}

// PostSend implements transport.QP. One-sided operations are carried out here
// and now.
func (qp *queuePair) PostSend(wrs []transport.WorkRequest) (int, error) {
	s := &qp.send
	if len(s.postponed) > 0 {
		return qp.postpone(wrs)
	}
	posted := s.posted.Load()
	tail, signaled := uint32(posted), uint32(posted>>32)
	messages := s.messages
	failed, later := false, false
	var err error
	n := 0
	for ; n < len(wrs); n++ {
		wr := &wrs[n]
		if tail-s.headSeen >= qp.cfg.SendDepth {
			s.headSeen = qp.comp.head.Load()
			if tail-s.headSeen >= qp.cfg.SendDepth {
				err = transport.ErrQueueFull
				break
			}
		}
		e := &s.entries[tail&qp.own.mask]
		status := transport.StatusFlushed
		if s.condemned == nil && qp.state.Load() == stateReady {
			if status = qp.execute(wr, e); status != transport.StatusOK {
				if status == statusPostponed {
					later = true
					break
				}
				qp.condemn(wr, status)
			}
		}
		if status != transport.StatusOK {
			failed, e.awaits = true, false // no message of its own
		}
		e.id, e.op, e.status = wr.ID, wr.Op, status
		if e.signaled = wr.Flags&transport.Signaled != 0; e.signaled {
			signaled++
		}
		tail++
	}
	s.posted.Store(uint64(signaled)<<32 | uint64(tail)) // before looking whether the peer sleeps
	if s.messages != messages {
		qp.ringReceiver()
	}
	qp.sendCQ.sleeper.Notify(failed)
	if later {
		var more int
		more, err = qp.postpone(wrs[n:])
		n += more
	}
	return n, err
}

// condemn ends the connection, as soon as what was posted before the failed request is
// done: messages that wait for a receive of the peer do not fail for this.
func (qp *queuePair) condemn(wr *transport.WorkRequest, status transport.Status) {
	reason, messages := qp.failure(wr, status), qp.send.messages
	qp.send.condemned = reason
	done := func() bool { return int32(qp.peer.acked.Load()-messages) >= 0 }
	if done() {
		qp.fail(reason, status)
		return
	}
	look := func() bool {
		qp.messages.Lock() // keeps the peer's half mapped
		defer qp.messages.Unlock()
		return qp.state.Load() != stateReady || done()
	}
	qp.adapter.releasing.Go(func() {
		for !look() {
			time.Sleep(condemnedLook)
		}
		qp.fail(reason, status) // nothing, if it has failed meanwhile
	})
}

// condemnedLook is how soon the connection ends if the program does not poll; a poll
// ends it earlier.
const condemnedLook = 10 * time.Millisecond

// failure is why a request failed.
func (qp *queuePair) failure(wr *transport.WorkRequest, status transport.Status) error {
	if r := qp.peers.get(uint32(wr.Remote.Key)); r != nil && r.lost != nil {
		return fmt.Errorf("%v (request %d): the peer's region could not be mapped here: %w", wr.Op, wr.ID, r.lost)
	}
	return fmt.Errorf("%v (request %d): %v: %s", wr.Op, wr.ID, status, status.Hint())
}

// ringReceiver wakes the peer if it sleeps.
func (qp *queuePair) ringReceiver() {
	v := qp.peer.receiveBell.Load()
	if v == qp.send.rung {
		return
	}
	qp.send.rung = v
	qp.own.rungReceive.Store(v) // before ringing: a sleeper that wakes must see this bell answered
	qp.cfg.Control.Notify(byte(messageRingReceiver))
}

// execute carries a request out, or puts it into the ring.
func (qp *queuePair) execute(wr *transport.WorkRequest, e *sendEntry) transport.Status {
	e.awaits = false
	switch wr.Op {
	case transport.OpWrite:
		_, status := qp.write(wr)
		return status
	case transport.OpWriteImm:
		// Stores reach the other processors in order: without this, the slot's line
		// would be asked for only when the data's has come.
		prefetchToWrite(addressOfSlot(&qp.own.slots[qp.send.messages&qp.own.mask]))
		to, status := qp.write(wr)
		if status != transport.StatusOK {
			return status
		}
		order.Publish64(&qp.send.written, pages.Address(to))
		s := qp.nextSlot(e)
		s.bytes, s.imm, s.kind, s.flags = uint32(wr.Bytes()), wr.Imm, slotWriteImm, wr.Flags
		s.references()[0].addr = wr.Remote.Addr
		qp.publish(s, e)
		if qp.recv.alone.Load() != 0 { // it costs a stream a tenth
			demote(pages.Address(to)) // the peer looks at it next
		}
		return transport.StatusOK
	case transport.OpSend:
		qp.sendMessage(wr, e)
		return transport.StatusOK
	case transport.OpRead:
		return qp.read(wr)
	default:
		return qp.atomic(wr)
	}
}

// nextSlot is the slot for the request's message. One is always free: the ring
// has as many as requests can be outstanding.
func (qp *queuePair) nextSlot(e *sendEntry) *slot {
	e.awaits, e.message = true, qp.send.messages
	return &qp.own.slots[e.message&qp.own.mask]
}

// publish makes the slot visible to the peer.
func (qp *queuePair) publish(s *slot, e *sendEntry) {
	qp.send.messages++
	order.Publish(&s.sequence, e.message+1)
}

// write carries a Write out, and returns what it wrote.
func (qp *queuePair) write(wr *transport.WorkRequest) ([]byte, transport.Status) {
	n := wr.Bytes()
	if n == 0 {
		return nil, transport.StatusOK
	}
	to, status := qp.remoteBytes(wr, uint32(n), transport.RemoteWrite)
	if status != transport.StatusOK {
		return nil, status
	}
	first := memory(wr.Local)
	if second := wr.SecondSpan(); second.Len() != 0 {
		copyBlocks(to, first)
		place(to[len(first):], memory(second))
	} else {
		place(to, first)
	}
	return to, transport.StatusOK
}

// place copies from to to, which is as long; the last word, if it is aligned, last
// and in one piece, for a program that watches it (transport.FeatureWatchMemory).
func place(to, from []byte) {
	if head := len(from) - 8; head >= 0 {
		if word := pages.Word(to[head:]); word != nil {
			last := pages.LoadWord(from[head:]) // before copying: the two may overlap
			copyBlocks(to, from[:head])
			order.Publish64(word, last)
			return
		}
	}
	copyBlocks(to, from)
}

// copyBlock is as much as is copied at once. From 1 MiB or so on, the runtime's
// copy goes around the caches, which takes twice as long where the peer, or this
// program, has the data in them.
const copyBlock = 256 << 10

// copyBlocks copies from to the beginning of to, and returns how much.
func copyBlocks(to, from []byte) int {
	n := min(len(to), len(from))
	for at := 0; at < n; at += copyBlock {
		copy(to[at:min(at+copyBlock, n)], from[at:])
	}
	return n
}

func (qp *queuePair) read(wr *transport.WorkRequest) transport.Status {
	n := wr.Bytes()
	if n == 0 {
		return transport.StatusOK
	}
	from, status := qp.remoteBytes(wr, uint32(n), transport.RemoteRead)
	if status != transport.StatusOK {
		return status
	}
	copyBlocks(memory(wr.SecondSpan()), from[copyBlocks(memory(wr.Local), from):])
	return transport.StatusOK
}

func (qp *queuePair) atomic(wr *transport.WorkRequest) transport.Status {
	to, status := qp.remoteBytes(wr, 8, transport.RemoteAtomic)
	if status != transport.StatusOK {
		return status
	}
	target := pages.Word(to)
	if target == nil { // a hostile peer has announced an unaligned base
		return transport.StatusRemoteInvalidRequest
	}
	var before uint64
	if wr.Op == transport.OpFetchAdd {
		before = target.Add(wr.Addend()) - wr.Addend()
	} else {
		for {
			before = target.Load()
			if before != wr.Compare() || target.CompareAndSwap(before, wr.Swap()) {
				break
			}
		}
	}
	binary.NativeEndian.PutUint64(memory(wr.Local), before)
	return transport.StatusOK
}

// sendMessage puts a Send into the ring: its bytes if they are few, references
// to them otherwise.
func (qp *queuePair) sendMessage(wr *transport.WorkRequest, e *sendEntry) {
	first, second := memory(wr.Local), memory(wr.SecondSpan())
	s := qp.nextSlot(e)
	s.bytes, s.imm, s.flags = uint32(wr.Bytes()), 0, wr.Flags
	switch n := wr.Bytes(); {
	case n <= slotInline:
		s.kind = slotSendShort
		copy(s.payload[copy(s.payload[:], first):], second)
	case n <= sideBytes:
		s.kind = slotSendSide
		side := qp.own.sideOf(e.message)
		copy(side[copy(side, first):], second)
	default:
		s.kind = slotSendSpans
		refs := s.references()
		refs[0] = referTo(wr.Local)
		refs[1] = referTo(wr.SecondSpan())
	}
	qp.publish(s, e)
}

func referTo(s transport.Span) reference { return reference{s.Addr(), uint32(s.Len()), s.LKey()} }

// remoteBytes is the peer's memory that a request names.
func (qp *queuePair) remoteBytes(wr *transport.WorkRequest, n uint32, need transport.Access) ([]byte, transport.Status) {
	r := qp.send.remote
	if r == nil || r.key != uint32(wr.Remote.Key) || r.gone.Load() {
		var status transport.Status
		if r, status = qp.lookUp(uint32(wr.Remote.Key)); r == nil {
			return nil, status
		}
		qp.send.remote = r
	}
	if mem, ok := r.bytes(wr.Remote.Addr, n, need); ok {
		return mem, transport.StatusOK
	}
	return nil, transport.StatusRemoteAccess
}

// lookUp finds a region of the peer by key, or says why it cannot.
func (qp *queuePair) lookUp(key uint32) (*remoteRegion, transport.Status) {
	complete := qp.peers.seen.Load() == qp.peer.announced.Load() // before looking
	switch r := qp.peers.get(key); {
	case r != nil && r.lost != nil:
		return nil, transport.StatusLocalOperation
	case r != nil:
		return r, transport.StatusOK
	case complete:
		return nil, transport.StatusRemoteAccess
	}
	return nil, statusPostponed
}
