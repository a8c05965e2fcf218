package invoke

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// rendezvous is a call whose input or result goes beyond its slot. The worker reads
// such an input from the client's memory, part by part, and writes such a result
// there, or offers it to the client, which reads it; between any two parts the worker
// looks at other requests. It belongs to the loop.
type rendezvous struct {
	call
	phase  phase
	source transport.RemoteSpan // input at the client, if it is not in the slot
	room   uint32               // for the result

	region *transport.Region // of the pool: input, if it is not in the slot, and result, if it may be longer than a slot
	start  int               // of the result in region
	in     []byte
	out    []byte // may be the slot's
	moved  uint32 // bytes posted in this phase
	flying int    // parts posted and not completed

	offer   bool   // a result beyond the slot is to be offered
	status  Status // what to answer, if not the result
	message string
	entered bool
	bytes   uint32 // of the result

	execution, queue time.Duration
}

// phase is how far a rendezvous is.
type phase uint8

const (
	phaseWaiting phase = iota // has no memory yet
	phaseReading
	phaseWriting
	phaseOffered // the client has the answer, and reads the result
)

const (
	// partBytes is how much is moved at once. Where the worker's processor does the
	// copying, others wait for so long.
	partBytes = 256 << 10
	// partsInFlight is how many parts of one call are under way at once.
	partsInFlight = 8
	// activeRendezvous is how many calls of one client have memory at once: the next
	// one's input is read while the result of one is written.
	activeRendezvous = 2
	// rendezvousDepth is how many entries of the send queue parts can take.
	rendezvousDepth = partsInFlight * activeRendezvous
)

// begin queues a call, instead of executing it.
func (l *loop) begin(k *call) {
	h := decodeRequest(k.slot.header)
	s, most := k.session, l.w.rendezvous.call
	t := &rendezvous{call: *k, room: h.reply.Len - headerBytes}
	t.rendezvous = t
	t.offer = h.offer
	if h.rendezvous {
		t.source, t.length = h.source, h.bytes
	}
	have := int64(roundUp(int(t.source.Len), 64))
	if have > most {
		l.answer(k, StatusTooLarge, fmt.Sprintf("the input has %d bytes; the worker takes %d (CallBytes) with the room for the result", t.source.Len, most))
		return
	}
	t.room = uint32(min(int64(t.room), max(most-have, int64(s.layout.slotBytes))))
	t.in = t.slot.input[:k.length:k.length]
	t.out = t.slot.result[:min(t.room, uint32(s.layout.slotBytes))]
	if len(s.rendezvous) == 0 {
		l.rendezvousSessions = append(l.rendezvousSessions, s)
	}
	s.rendezvous = append(s.rendezvous, t)
	t.slot.rendezvous = t
	l.stuck = 0
}

// stop has the call answered with a status as soon as the device has done with
// its memory.
func (t *rendezvous) stop(status Status, message string) {
	if t.status == StatusOK {
		t.status, t.message = status, message
	}
}

// advance takes each client's calls one step further.
func (l *loop) advance() {
	l.reclaim()
	any := false
	for i := 0; i < len(l.rendezvousSessions); {
		s := l.rendezvousSessions[i]
		any = l.step(s) || any
		if i < len(l.rendezvousSessions) && l.rendezvousSessions[i] == s {
			i++
		}
	}
	switch {
	case any:
		l.stuck = 0
	case l.stuck == 0:
		l.stuck = now()
	}
}

// step does the next thing for the first of a client's calls that there is
// something to be done for, and reports whether there was one.
func (l *loop) step(s *session) bool {
	for i := 0; i < len(s.rendezvous) && i < activeRendezvous; i++ {
		t := s.rendezvous[i]
		if l.refusing && !t.entered {
			t.stop(StatusRevoked, revokedMessage)
		}
		if t.status == StatusOK && t.deadline != 0 && now() >= t.deadline {
			t.stop(StatusDeadlineExceeded, fmt.Sprintf("the deadline passed when %d of %d bytes were moved", t.moved, t.target()))
		}
		switch {
		case t.status != StatusOK:
			if t.flying == 0 {
				l.conclude(t)
				return true
			}
		case t.phase == phaseWaiting:
			if l.provide(t) {
				return true
			}
		case t.moved < t.target():
			if t.flying < partsInFlight && l.move(t) {
				return true
			}
		case t.flying > 0:
		case t.phase == phaseReading:
			l.executeRendezvous(t)
			return true
		default:
			l.conclude(t)
			return true
		}
	}
	return false
}

// target is how many bytes are to be moved in this phase.
func (t *rendezvous) target() uint32 {
	if t.phase == phaseWriting {
		return t.bytes
	}
	return t.source.Len
}

// provide gives the call the memory that it needs, and reports whether it is to be
// looked at again.
func (l *loop) provide(t *rendezvous) bool {
	s := t.session
	need := roundUp(int(t.source.Len), 64)
	t.start = need
	beyond := int(t.room) > s.layout.slotBytes
	if beyond {
		need += int(t.room)
	}
	if need > 0 {
		region, err := s.memory.take(need)
		if errors.Is(err, errBudgetFull) {
			for _, other := range l.sessions {
				if other != nil {
					other.memory.trim()
				}
			}
			region, err = s.memory.take(need)
		}
		if errors.Is(err, errPoolFull) && (s.rendezvous[0] != t || s.offered > 0) {
			return false // until the one before is answered, or its result was read
		}
		if err != nil {
			total := l.w.rendezvous.total
			t.stop(StatusBusy, fmt.Sprintf("no memory for %d bytes of input and %d of result: %v; %d bytes of %d (TotalBytes) are in use",
				t.length, t.room, err, total.used.Load(), total.most))
			return true
		}
		t.region = region
	}
	if t.source.Len > 0 {
		t.in = t.region.Bytes()[:t.source.Len:t.source.Len]
	}
	if beyond {
		t.out = t.region.Bytes()[t.start:need:need]
	}
	t.phase = phaseReading
	return true
}

// move posts the next part.
func (l *loop) move(t *rendezvous) bool {
	s := t.session
	n := min(t.target()-t.moved, l.w.part)
	id := partID(s.id, t.index)
	var wr transport.WorkRequest
	if t.phase == phaseReading {
		from := t.source
		from.Addr += uint64(t.moved)
		from.Len = n
		wr = transport.Read(id, t.region.Span(int(t.moved), int(n)), from)
	} else {
		to := t.returned
		to.Addr += headerBytes + uint64(t.moved)
		to.Len = n
		wr = transport.Write(id, t.region.Span(t.start+int(t.moved), int(n)), to)
	}
	l.part[0] = wr.With(transport.Signaled)
	_, err := s.conn.Post(l.part[:]...)
	switch {
	case err == nil:
		t.moved += n
		t.flying++
		return true
	case !errors.Is(err, transport.ErrQueueFull):
		l.drop(s, err)
		return true
	}
	return false
}

// moved takes the completion of a part.
func (l *loop) moved(c *transport.Completion) {
	s := l.sessions[indexOf(c.ID)]
	if s == nil || s.id != sessionOf(c.ID) {
		return // of a session that ended
	}
	if t := s.slots[partOf(c.ID)].rendezvous; t != nil {
		t.flying--
		l.stuck = 0
	}
}

// stageFor makes a session the one whose replies are staged, and reports whether its
// client is still there.
func (l *loop) stageFor(s *session) bool {
	if l.length > 0 && l.of != s {
		l.flush() // it may find that sessions have ended
	}
	if l.sessions[indexOf(s.id)] != s {
		return false
	}
	l.of = s
	return true
}

// executeRendezvous calls the function, whose input has arrived, and answers, or
// goes on with writing the result.
func (l *loop) executeRendezvous(t *rendezvous) {
	if !l.stageFor(t.session) {
		return
	}
	t.entered = true
	if l.w.cfg.Concurrency > 1 {
		l.detachRendezvous(t)
		return
	}
	f := &(*l.w.registry.table.Load())[t.function]
	t.started = ticks()
	l.enter(&t.call)
	n, err := f.f(l.ctx, t.in, t.out)
	l.leave(&t.call)
	l.deliver(t, f, n, err)
}

// deliver answers a call whose function has returned, or goes on with writing the result.
func (l *loop) deliver(t *rendezvous, f *registered, n int, err error) {
	if err == nil && n > len(t.out) {
		err = &Error{Status: StatusTooLarge, Message: fmt.Sprintf("the result has %d bytes, there is room for %d; offer more (Call, CallOptions, NewBuffer), or have the worker take more (CallBytes)", n, len(t.out))}
	}
	switch {
	case err != nil || n < 0:
		l.remove(t)
		l.replyFailure(&t.call, f, n, err)
	case n <= len(t.slot.result):
		copy(t.slot.result, t.out[:n])
		l.remove(t)
		l.reply(&t.call, f, StatusOK, 0, n)
	default:
		l.idle = ticks()
		t.phase, t.moved, t.bytes = phaseWriting, 0, uint32(n)
		t.execution, t.queue = time.Duration(l.tick.ns(l.idle-t.started)), time.Duration(l.tick.ns(t.started-t.noticed))
		h := &replyHeader{status: StatusOK, bytes: t.bytes, execution: t.execution, queue: t.queue}
		l.meter(&t.call, f, h)
		l.account(&t.call, h)
		if t.offer {
			l.offerResult(t, h)
		}
	}
}

// offerResult answers a call whose result the client reads itself, from memory that is kept
// until it says so.
func (l *loop) offerResult(t *rendezvous, h *replyHeader) {
	h.id, h.entered, h.source = t.slot.id, true, t.region.Remote(t.start, int(t.bytes))
	h.encode(t.slot.reply)
	t.phase = phaseOffered
	s := t.session
	s.offered++
	s.rendezvous = slices.DeleteFunc(s.rendezvous, func(other *rendezvous) bool { return other == t })
	if len(s.rendezvous) == 0 {
		l.settle(s)
	}
	l.stage(&t.call, StatusOK, 0)
	l.flush()
}

// conclude answers a call whose result has been written, or that was stopped.
func (l *loop) conclude(t *rendezvous) {
	if !l.stageFor(t.session) {
		return
	}
	h := replyHeader{id: t.slot.id, status: t.status, entered: t.entered, bytes: t.bytes, execution: t.execution, queue: t.queue}
	n := 0
	if t.status != StatusOK {
		n = putMessage(t.call.result, t.message)
		h.bytes = uint32(n)
		if !t.entered {
			l.tally.refused++
			l.unpublished++
		}
	}
	h.encode(t.slot.reply)
	l.remove(t)
	l.stage(&t.call, t.status, n)
	l.flush()
}

// remove forgets a call and gives its memory back.
func (l *loop) remove(t *rendezvous) {
	s := t.session
	if t.slot.rendezvous != t {
		return // the session has ended
	}
	t.slot.rendezvous = nil
	if t.phase == phaseOffered {
		s.offered--
	}
	if t.region != nil {
		s.memory.put(t.region)
		t.region = nil
	}
	for i, other := range s.rendezvous {
		if other == t {
			s.rendezvous = append(s.rendezvous[:i], s.rendezvous[i+1:]...)
			break
		}
	}
	if len(s.rendezvous) == 0 {
		l.settle(s)
	}
	if l.refusing {
		l.w.attention.Store(true) // Drain may be waiting for it
	}
}

// forget drops the calls of a session that ends, and with it their memory.
func (l *loop) forget(s *session) {
	for _, t := range s.rendezvous {
		t.slot.rendezvous = nil
	}
	s.rendezvous = nil
	l.settle(s)
	l.dropWaiting(s)
}

// settle takes a session off the list of those with calls beyond the slots.
func (l *loop) settle(s *session) {
	for i, other := range l.rendezvousSessions {
		if other == s {
			l.rendezvousSessions = append(l.rendezvousSessions[:i], l.rendezvousSessions[i+1:]...)
			return
		}
	}
}

// pause waits for parts that are under way. While they are the worker does not
// sleep for long, as other requests come by another queue.
func (l *loop) pause() {
	if l.stuck == 0 || now()-l.stuck < int64(l.w.spin) {
		return
	}
	ctx, cancel := context.WithTimeout(l.w.sleep, backlogPause)
	defer cancel()
	n, _ := l.w.sendQueue.Wait(ctx, l.acks[:], 0) // the request queue is polled next: it tells of errors
	for i := range l.acks[:n] {
		l.acknowledged(&l.acks[i])
	}
}

// writing reports whether there are calls that were executed, and whose clients do not have the
// result.
func (l *loop) writing() bool {
	for _, s := range l.sessions {
		if s != nil && s.offered > 0 {
			return true
		}
	}
	for _, s := range l.rendezvousSessions {
		for _, t := range s.rendezvous {
			if t.phase == phaseWriting {
				return true
			}
		}
	}
	return false
}

// finish answers the calls that were executed, before the worker ends.
func (l *loop) finish() {
	l.fill()
	l.awaitExecutions()
	for until := now() + int64(backlogPatience); l.writing() && now() < until; {
		l.advance()
		n, _ := l.w.requestQueue.Poll(l.completions[:])
		for i := range l.completions[:n] {
			l.takeBack(&l.completions[i])
		}
	}
}

// takeBack takes a completion that comes while the worker ends: only what clients have read
// matters.
func (l *loop) takeBack(c *transport.Completion) {
	switch s := l.sessions[indexOf(c.ID)]; {
	case s == nil || s.id != c.ID:
	case c.Op != transport.OpRecvImm || c.Status != transport.StatusOK:
		l.failed(c)
	default:
		if index, kind, function := decodeRequestImm(c.Imm); kind == kindCancel && c.Bytes == 0 {
			l.misfit(s, index, kind, function, c)
		}
	}
}
