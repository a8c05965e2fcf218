package rc_test

import (
	"encoding/binary"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

// This file is the program of a side: what it posts.

// post posts a random request.
func (s *side) post() {
	r := &request{index: len(s.posted), posted: s.w.now()}
	switch weighted(s.random.IntN, s.w.mix[:]) {
	case 0:
		s.drawSend(r)
	case 1:
		s.drawWrite(r, transport.OpWrite)
	case 2:
		s.drawWrite(r, transport.OpWriteImm)
	case 3:
		s.drawRead(r)
	case 4:
		s.drawAtomic(r, transport.OpFetchAdd)
	case 5:
		s.drawAtomic(r, transport.OpCompareSwap)
	}
	s.drawFlags(r)
	r.wr.ID = uint64(r.index) ^ s.salt
	s.commit(r)
}

// weighted draws an index, according to the weights.
func weighted(intN func(int) int, weights []int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	at := intN(sum)
	for i, w := range weights {
		if at -= w; at < 0 {
			return i
		}
	}
	panic("unreachable")
}

// size draws the bytes of a request: around the multiples of the MTU, mostly.
func (s *side) size(most int) int {
	r, mtu := s.random, s.w.mtu
	n := 0
	switch r.IntN(10) {
	case 0:
	case 1:
		n = 1 + r.IntN(16)
	case 2:
		n = 8
	case 3:
		n = most
	case 4, 5:
		n = r.IntN(most + 1)
	default:
		n = mtu*r.IntN(most/mtu+2) + r.IntN(9) - 4
	}
	return max(0, min(n, most))
}

// cut divides n bytes of a slot (or of a receive) into one piece or two that are
// not next to each other.
func (s *side) cut(start, n int) (pieces [2]piece) {
	start += pick(s.random, 0, 0, 8, 1, s.random.IntN(16))
	pieces[0] = piece{start, n}
	if oneIn(s.random, 3) {
		first := s.random.IntN(n + 1)
		pieces[0].n = first
		pieces[1] = piece{start + first + s.random.IntN(16), n - first}
	}
	return pieces
}

// local gives a request its slot and its local spans. Spans without bytes are
// left out, or stay.
func (s *side) local(r *request, n int) {
	r.slot = slices.Index(s.slotUsers, 0)
	r.region, r.pieces = s.slots, s.cut(s.slots.at.off+r.slot*s.slotBytes, n)
	r.wr.Local = s.slots.span(r.pieces[0])
	if r.pieces[1].n > 0 || oneIn(s.random, 8) {
		r.wr = r.wr.WithSecondSpan(s.slots.span(r.pieces[1]))
	}
}

// fill puts new content into the local memory of a request.
func (s *side) fill(r *request, n int) {
	s.local(r, n)
	s.scribble(r)
	for _, p := range r.pieces {
		r.content = append(r.content, s.host.mem(p)...)
	}
}

func (s *side) drawSend(r *request) {
	r.wr.Op = transport.OpSend
	if !s.forward(r) {
		s.fill(r, s.size(s.w.maxBytes))
	}
}

// forward sends on what an unfinished READ is to bring: behind a fence, or it
// would send what was there before.
func (s *side) forward(r *request) bool {
	last := len(s.posted) - 1
	if last < s.ended || !oneIn(s.random, 2) {
		return false
	}
	from := s.posted[last]
	if from.wr.Op != transport.OpRead || from.target.n == 0 {
		return false
	}
	r.slot, r.region, r.pieces, r.content = from.slot, from.region, from.pieces, from.content
	r.wr.Local = from.wr.Local
	r.wr = r.wr.WithSecondSpan(from.wr.SecondSpan())
	r.wr.Flags = transport.Fence
	return true
}

func (s *side) drawWrite(r *request, op transport.Op) {
	r.wr.Op = op
	zone := s.writable
	if oneIn(s.random, 3) {
		zone = s.open
	}
	if !s.forward(r) {
		s.fill(r, s.size(min(s.w.maxBytes, zone.at.n)))
	}
	r.stores = true
	s.aim(r, zone, len(r.content))
	if op == transport.OpWriteImm {
		r.wr.Imm = s.random.Uint32()
	}
}

func (s *side) drawRead(r *request) {
	r.wr.Op = transport.OpRead
	zone := s.readable
	if oneIn(s.random, 3) {
		zone = s.open
	}
	n := s.size(min(s.w.maxBytes, zone.at.n))
	s.local(r, n)
	s.aim(r, zone, n)
	r.content = append(r.content, s.peer.host.model(r.target)...)
}

// aim chooses the place of n bytes in a region of the peer's.
func (s *side) aim(r *request, zone *region, n int) {
	off := s.random.IntN(zone.at.n - n + 1)
	switch s.random.IntN(6) {
	case 0:
		off = zone.at.n - n // its very end
	case 1, 2:
		off &^= 7
	case 3:
		if end := (off + n) &^ 7; end >= n {
			off = end - n // ends as a word does
		}
	}
	r.target = piece{zone.at.off + off, n}
	r.wr.Remote = zone.remote(r.target)
	if n == 0 && oneIn(s.random, 2) {
		r.wr.Remote = transport.RemoteSpan{Addr: s.random.Uint64(), Key: transport.RKey(s.random.Uint32())} // says nothing
	}
}

func (s *side) drawAtomic(r *request, op transport.Op) {
	r.wr.Op = op
	r.slot = slices.Index(s.slotUsers, 0)
	r.region, r.pieces[0] = s.slots, piece{s.slots.at.off + r.slot*s.slotBytes + s.random.IntN(16), 8}
	r.wr.Local = s.slots.span(r.pieces[0])
	words := &s.peer.host.words
	if !s.w.kind.mayFail && oneIn(s.random, 2) {
		words.draw(s, r)
		return
	}
	zone := s.open
	r.target = piece{zone.at.off + 8*s.random.IntN(zone.at.n/8), 8}
	r.wr.Remote = zone.remote(r.target)
	former := binary.NativeEndian.Uint64(s.peer.host.model(r.target))
	r.former = former
	next := former
	if op == transport.OpFetchAdd {
		addend := s.random.Uint64()
		next += addend
		r.wr = transport.FetchAdd(0, r.wr.Local, r.wr.Remote, addend)
	} else {
		compare, swap := former, s.random.Uint64()
		if oneIn(s.random, 3) {
			compare ^= 1 << s.random.IntN(64)
		} else {
			next = swap
		}
		r.wr = transport.CompareSwap(0, r.wr.Local, r.wr.Remote, compare, swap)
	}
	r.stores = true
	r.content = binary.NativeEndian.AppendUint64(nil, next)
}

// drawFlags chooses the flags, and sets those that the program cannot do without.
func (s *side) drawFlags(r *request) {
	w := s.w
	switch {
	case s.random.Float64() < w.signaled, len(s.posted) == w.requests-1,
		// Or the send queue would be full of requests that never free an entry.
		s.unmarked+1 >= (w.depth+1)/2:
		r.wr.Flags |= transport.Signaled
	}
	switch r.wr.Op {
	case transport.OpSend, transport.OpWrite, transport.OpWriteImm:
		if len(r.content) <= w.inline && r.wr.Flags&transport.Fence == 0 && oneIn(s.random, 2) {
			r.wr.Flags |= transport.Inline
		}
	}
	if r.consumes() && oneIn(s.random, 3) {
		r.wr.Flags |= transport.Solicited
	}
	if s.disturbs(r) || oneIn(s.random, 20) {
		r.wr.Flags |= transport.Fence
	}
}

// disturbs reports whether r changes what an unfinished READ is to find. The READ
// may be answered, or answered again, after r was carried out: only a fence keeps
// them apart.
func (s *side) disturbs(r *request) bool {
	if !r.stores {
		return false
	}
	for _, before := range s.posted[max(s.ended, s.fenced):] {
		if before.wr.Op == transport.OpRead && before.target.overlaps(r.target) {
			return true
		}
	}
	return false
}

// commit posts a request, and tells the model.
func (s *side) commit(r *request) {
	w := s.w
	w.note("%s posts request %d: %v %d bytes, flags %#x, slot %d, target %+v", s.name, r.index, r.wr.Op, len(r.content), r.wr.Flags, r.slot, r.target)
	s.posted = append(s.posted, r)
	s.entries++
	s.slotUsers[r.slot]++
	if s.unmarked++; r.wr.Flags&transport.Signaled != 0 {
		s.unmarked = 0
	}
	if r.wr.Flags&transport.Fence != 0 {
		s.fenced = r.index
	}
	if r.consumes() {
		s.messages = append(s.messages, r)
	}
	if r.stores {
		copy(s.peer.host.model(r.target), r.content)
	}
	s.minimum += r.packets(w.mtu)

	wr := r.wr
	s.q.Post(&wr)
	wr = transport.WorkRequest{ID: ^uint64(0), Op: transport.OpRecv, Flags: 0xff} // it was copied
	if r.wr.Flags&transport.Inline != 0 {
		s.scribble(r)
	}
	s.wake(0)
}

// scribble puts something new into the local memory of a request: it is the
// program's, before and after.
func (s *side) scribble(r *request) {
	if r.region.closed {
		return // it is not even that any more
	}
	for _, p := range r.pieces {
		scramble(s.host.mem(p), s.random.Uint64())
		copy(s.host.model(p), s.host.mem(p))
	}
}
