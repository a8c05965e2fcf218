package rc_test

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// This file is the model of what a requester may rely on: when a request has
// ended well, what it wrote is there, what it read is what was there, and what it
// sent was received; and nothing else of its own memory has changed.

// request is a posted work request.
type request struct {
	index  int
	wr     transport.WorkRequest
	slot   int
	region *region
	pieces [2]piece // of the local memory
	target piece    // of the peer's memory
	stores bool     // content goes to target
	posted time.Duration

	// content is what is sent or written; what a READ must bring; what an atomic
	// leaves behind.
	content []byte
	former  uint64 // what an atomic must return, unless the word is shared
	shared  bool   // the word is everybody's: see words

	delivered bool // the peer has received it
}

// consumes reports whether the request takes a receive of the peer's.
func (r *request) consumes() bool {
	return r.wr.Op == transport.OpSend || r.wr.Op == transport.OpWriteImm
}

func (r *request) atomic() bool {
	return r.wr.Op == transport.OpFetchAdd || r.wr.Op == transport.OpCompareSwap
}

// answered reports whether only a response ends the request, not an ACK.
func (r *request) answered() bool { return r.wr.Op == transport.OpRead || r.atomic() }

// packets is how many the request takes at least, its answer included.
func (r *request) packets(mtu int) int {
	n := max(1, (len(r.content)+mtu-1)/mtu)
	if r.answered() {
		n++
	}
	return n
}

// end takes the end of the oldest request: it promises what its status says.
func (s *side) end(r *request, status transport.Status) {
	s.ended++
	switch {
	case status != transport.StatusOK:
		s.endBadly(r, status)
	case s.succeeded < r.index:
		s.w.failf("%s: request %d succeeded after an earlier one had failed", s.name, r.index)
	default:
		s.succeeded++
		s.endWell(r)
	}
	if s.slotUsers[r.slot]--; s.slotUsers[r.slot] == 0 {
		s.scribble(r)
	}
}

func (s *side) endWell(r *request) {
	w := s.w
	if w.lawless {
		return
	}
	if r.consumes() && !r.delivered {
		w.failf("%s: request %d succeeded, and the peer has received nothing", s.name, r.index)
	}
	switch {
	case r.wr.Op == transport.OpRead:
		for rest, i := r.content, 0; i < 2; i++ {
			rest = rest[copy(s.host.model(r.pieces[i]), rest):]
		}
	case r.shared:
		got := binary.NativeEndian.Uint64(s.host.mem(r.pieces[0]))
		s.peer.host.words.changed(s, r, got)
		binary.NativeEndian.PutUint64(s.host.model(r.pieces[0]), got)
	case r.atomic():
		binary.NativeEndian.PutUint64(s.host.model(r.pieces[0]), r.former)
	}
	if r.stores {
		s.checkStored(r)
	}
	// The whole slot: what lies beside the spans belongs to nobody.
	s.host.compare(piece{s.slots.at.off + r.slot*s.slotBytes, s.slotBytes}, s.name+": at the end of request")
}

// checkStored checks that what r stored is in the peer's memory, as far as later
// requests may not have stored something else there already.
func (s *side) checkStored(r *request) {
	got := s.peer.host.mem(r.target)
	if bytes.Equal(got, r.content) {
		return
	}
	for i, b := range got {
		if b != r.content[i] && !s.storedLater(r, r.target.off+i, b) {
			s.w.failf("%s: request %d is complete, but the peer's memory at %#x (%s) holds %#x instead of %#x",
				s.name, r.index, r.target.off+i, s.peer.host.whose(r.target.off+i), b, r.content[i])
		}
	}
}

func (s *side) storedLater(r *request, off int, b byte) bool {
	for _, later := range s.posted[r.index+1:] {
		if later.stores && off >= later.target.off && off < later.target.end() && later.content[off-later.target.off] == b {
			return true
		}
	}
	return false
}

// adopt makes the model hold what memory holds, where it is anybody's guess.
func (h *host) adopt(p piece) { copy(h.model(p), h.mem(p)) }
