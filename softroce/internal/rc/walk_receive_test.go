package rc_test

import (
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// receives is a queue of receives, of one queue pair or of all of a host, and the
// program that posts to it.
type receives struct {
	w         *walk
	host      *host
	owner     *side // nil: shared
	region    *region
	slotBytes int
	slotInUse []bool
	queue     []*receive // posted, not taken
	parked    bool
	posted    int
}

// receive is a posted receive.
type receive struct {
	id     uint64
	wr     transport.WorkRequest
	slot   int
	pieces [2]piece
}

func newReceives(h *host, name string, depth int) *receives {
	q := &receives{w: h.w, host: h, slotBytes: (h.w.maxBytes + 56 + 7) &^ 7, slotInUse: make([]bool, depth)}
	q.region = h.register(name, q.slotBytes*depth, transport.LocalOnly)
	return q
}

func (q *receives) start() {
	if q.w.eager {
		q.fill(len(q.slotInUse))
	}
	q.parked = true
	q.resume()
}

// resume has the program go on that found the queue full.
func (q *receives) resume() {
	if q.parked {
		q.parked = false
		q.w.net.After(1+time.Duration(q.w.random.ExpFloat64()*float64(q.w.receiveGap)), q.step)
	}
}

// step is a turn of the program that posts receives: sooner or later.
func (q *receives) step() {
	w := q.w
	if q.fill(1 + w.random.IntN(len(q.slotInUse))) {
		for _, s := range w.sides {
			if s.receives == q && !w.readiesQuiet {
				s.q.ReceivesPosted(w.now())
				s.wake(0)
			}
		}
	}
	q.parked = true
	if slices.Contains(q.slotInUse, false) {
		q.resume()
	}
}

// fill posts up to n receives.
func (q *receives) fill(n int) (some bool) {
	for ; n > 0; n-- {
		slot := slices.Index(q.slotInUse, false)
		if slot < 0 {
			return some
		}
		q.post(slot)
		some = true
	}
	return some
}

// post posts a receive that is long enough, and sometimes no longer than that.
func (q *receives) post(slot int) {
	w := q.w
	size := w.maxBytes
	if s := q.owner; s != nil {
		if q.posted < len(s.peer.messages) {
			if m := s.peer.messages[q.posted]; m.wr.Op == transport.OpWriteImm {
				size = 0 // nothing is stored there
			} else {
				size = len(m.content)
			}
			size += pick(w.random, 0, 0, 1, w.maxBytes-size)
			size = min(size, w.maxBytes)
		}
	}
	r := &receive{id: w.random.Uint64(), slot: slot}
	start := q.region.at.off + slot*q.slotBytes + w.random.IntN(16)
	r.pieces[0] = piece{start, size}
	r.wr = transport.Recv(r.id, q.region.span(r.pieces[0]))
	if oneIn(w.random, 3) {
		first := w.random.IntN(size + 1)
		r.pieces = [2]piece{{start, first}, {start + first + w.random.IntN(16), size - first}}
		r.wr = transport.Recv(r.id, q.region.span(r.pieces[0])).WithSecondSpan(q.region.span(r.pieces[1]))
	}
	q.posted++
	q.slotInUse[slot] = true
	q.queue = append(q.queue, r)
	w.note("%s: receive %d posted, %d bytes", q.region.name, q.posted-1, size)
}

// free gives the memory of a receive that has ended back to the program.
func (q *receives) free(r *receive) {
	q.slotInUse[r.slot] = false
	q.resume()
	if !q.region.closed {
		p := piece{q.region.at.off + r.slot*q.slotBytes, q.slotBytes}
		scramble(q.host.mem(p), q.w.random.Uint64())
		q.host.adopt(p)
	}
}

// Take implements rc.Receives.
func (s *side) Take() (wr transport.WorkRequest, ok bool) {
	q := s.receives
	if len(q.queue) == 0 {
		return wr, false
	}
	r := q.queue[0]
	q.queue = q.queue[1:]
	s.taken = append(s.taken, r)
	return r.wr, true
}

// Posted implements rc.Receives.
func (s *side) Posted() int {
	if s.receives.owner == nil {
		return -1
	}
	return len(s.receives.queue)
}

// Received implements rc.Sink.
func (s *side) Received(wr *transport.WorkRequest, c transport.Completion, solicited bool) {
	w := s.w
	w.note("%s: received message %d: %v %d bytes, %v", s.name, s.received, c.Op, c.Bytes, c.Status)
	if len(s.taken) == 0 {
		w.failf("%s: a receive ended that was not taken", s.name)
	}
	r := s.taken[0]
	if *wr != r.wr || c.ID != r.id || c.Conn != s.conn {
		w.failf("%s: a receive ended that is not the oldest that was taken: %+v", s.name, c)
	}
	s.taken = s.taken[1:]
	if c.Status != transport.StatusOK {
		s.receivedBadly(r, c)
		s.receives.free(r)
		return
	}
	if w.lawless {
		s.receives.free(r)
		return
	}
	if s.received == len(s.peer.messages) {
		w.failf("%s: received a message that was not sent", s.name)
	}
	m := s.peer.messages[s.received]
	s.received++
	m.delivered = true
	want := transport.Completion{ID: r.id, Conn: s.conn, Op: transport.OpRecv, Bytes: uint32(len(m.content))}
	if m.wr.Op == transport.OpWriteImm {
		want.Op, want.Imm, want.HasImm = transport.OpRecvImm, m.wr.Imm, true
		s.peer.checkStored(m)
	} else {
		s.scatter(r, m.content)
	}
	if c != want {
		w.failf("%s: message %d: completion %+v instead of %+v", s.name, s.received-1, c, want)
	}
	if solicited != (m.wr.Flags&transport.Solicited != 0) {
		w.failf("%s: message %d: solicited is %v", s.name, s.received-1, solicited)
	}
	q := s.receives
	s.host.compare(piece{q.region.at.off + r.slot*q.slotBytes, q.slotBytes}, s.name+": at the end of a receive")
	q.free(r)
}

// scatter has the model store a message where a receive says.
func (s *side) scatter(r *receive, content []byte) {
	for _, p := range r.pieces {
		n := copy(s.host.model(p), content)
		content = content[n:]
	}
	if len(content) > 0 {
		s.w.failf("%s: a message was received that is too long", s.name)
	}
}
