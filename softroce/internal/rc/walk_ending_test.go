package rc_test

import (
	"bytes"
	"errors"
	"time"

	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// This file is about connections that end before their time: which request may
// fail how, in what time, and what is in memory then.

var (
	errTold   = errors.New("the peer said that it failed")
	errClosed = errors.New("closed")
	errAgain  = errors.New("closed again")
)

// fail notes that the side's queue pair is in the error state: from now on it must
// not let the peer change anything.
func (s *side) fail(reason error) {
	s.failed = reason
	for i, r := range []*region{s.peer.writable, s.peer.open} {
		s.frozen[i] = bytes.Clone(s.host.mem(r.at))
	}
}

// shut has the queue pair go to the error state, unless it is there already.
func (s *side) shut(reason error, first transport.Status) {
	s.w.note("%s is shut: %v, %v", s.name, reason, first)
	if s.failed == nil {
		s.fail(reason)
		s.given, s.shutAt = first, len(s.posted)
		s.q.Fail(reason, first)
	}
	if s.entries < s.w.depth && len(s.posted) < s.w.requests {
		s.post()
	}
	s.q.Fail(errAgain, transport.StatusFatal) // changes nothing
	s.wake(0)
}

// failures is called when a queue pair went to the error state by itself. It tells
// the peer, if nothing else will.
func (w *walk) failures(s *side) {
	if s.tell && !w.deaf {
		w.net.After(between(w.random, time.Microsecond, time.Millisecond), func() { s.peer.shut(errTold, transport.StatusFlushed) })
	}
}

// endBadly takes the failure of a request.
func (s *side) endBadly(r *request, status transport.Status) {
	w := s.w
	if s.failed == nil {
		w.failf("%s: request %d failed, and nobody said that the queue pair has", s.name, r.index)
	}
	switch {
	case r.index > s.succeeded:
		if status != transport.StatusFlushed {
			w.failf("%s: request %d, after the first that failed, was not flushed but has status %v", s.name, r.index, status)
		}
	case s.given != transport.StatusOK:
		want := s.given
		if r.index >= s.shutAt {
			want = transport.StatusFlushed
		}
		if status != want {
			w.failf("%s: request %d failed with status %v, not with %v as the queue pair was told", s.name, r.index, status, want)
		}
	case w.cause != nil && !w.cause(s, r, status):
		w.failf("%s: request %d (%v) failed with status %v, for which there is no cause: %v", s.name, r.index, r.wr.Op, status, s.failed)
	}
	if r.answered() {
		for _, p := range r.pieces {
			s.host.adopt(p) // part of the answer may be there
		}
	}
}

// receivedBadly takes the failure of a receive.
func (s *side) receivedBadly(r *receive, c transport.Completion) {
	w := s.w
	if want := (transport.Completion{ID: r.id, Conn: s.conn, Op: transport.OpRecv, Status: c.Status, Vendor: c.Vendor}); c != want {
		w.failf("%s: completion %+v instead of %+v", s.name, c, want)
	}
	switch {
	case !w.kind.mayFail:
		w.failf("%s: a receive failed: %v", s.name, c.Status)
	case c.Status == transport.StatusFlushed, w.lawless:
	case c.Status == transport.StatusLocalProtection && s.receives.region.closed:
	default:
		w.failf("%s: a receive failed with status %v, for which there is no cause", s.name, c.Status)
	}
	for _, p := range r.pieces {
		s.host.adopt(p)
	}
}

// settle checks what a connection that ended has left behind at the peer: what the
// first so many requests do, those that succeeded at least, and perhaps some whole
// packets of the next one.
func (s *side) settle() {
	w, h := s.w, s.peer.host
	if s.peer.failed != nil {
		for i, r := range []*region{s.writable, s.open} {
			if !bytes.Equal(s.peer.frozen[i], h.mem(r.at)) && !w.lawless {
				w.failf("%s: memory was changed after the queue pair had failed: %v", r.name, s.peer.failed)
			}
		}
	}
	if !w.lawless {
		done := s.carriedOut()
		if s.kept && done > s.succeeded && !s.posted[s.succeeded].answered() {
			w.failf("%s: the peer told at its close that %d requests were carried out, but request %d is not complete", s.name, done, s.succeeded)
		}
	}
	h.adopt(s.writable.at)
	h.adopt(s.open.at)
}

// carriedOut is how many requests were carried out, as far as memory and messages
// tell: the smallest number that explains both.
func (s *side) carriedOut() int {
	w, h := s.w, s.peer.host
	state := &host{bytes: h.first}
	fits := func() bool {
		return bytes.Equal(state.mem(s.writable.at), h.mem(s.writable.at)) && bytes.Equal(state.mem(s.open.at), h.mem(s.open.at))
	}
	messages := 0
	for n := 0; ; n++ {
		possible := n >= s.succeeded && messages == s.peer.received
		if possible && fits() {
			return n
		}
		if n == len(s.posted) {
			w.failf("%s: no number of requests (%d to %d) explains what the peer's memory holds and that it received %d messages",
				s.name, s.succeeded, n, s.peer.received)
		}
		r := s.posted[n]
		if r.consumes() {
			messages++
		}
		if r.stores {
			for _, end := range s.parts(r) {
				copy(state.mem(r.target), r.content[:end])
				if possible && end < len(r.content) && fits() {
					return n
				}
			}
		}
	}
}

// parts are the lengths of the beginnings of a request's content that may be
// stored while it is under way: whole packets. But the last eight bytes, if they are
// an aligned word, are stored in one piece, even if two packets bring them.
func (s *side) parts(r *request) (ends []int) {
	n, mtu := len(r.content), s.w.mtu
	for end := mtu; end < n; end += mtu {
		if end > n-8 && r.target.end()%8 == 0 {
			ends = append(ends, n-8)
		}
		ends = append(ends, end)
	}
	return append(ends, n)
}

// after has f called when a random part of all requests has ended.
func (w *walk) after(f func()) {
	_, all := w.progress()
	threshold := w.random.IntN(all*9/10 + 1)
	before := w.during
	w.during = func() {
		if before != nil {
			before()
		}
		if ended, _ := w.progress(); f != nil && ended >= threshold {
			w.net.After(between(w.random, time.Nanosecond, 2*w.roundTrip()+time.Microsecond), f)
			f = nil
		}
	}
}

// drawPartition and beginPartition: the link is dead at times, in one direction or
// both, but never for so long that a queue pair gives up.
func drawPartition(w *walk) settings {
	s := drawFaults(w)
	s.retries = 200
	return s
}

func beginPartition(w *walk) {
	for range 1 + w.random.IntN(4) {
		w.after(func() {
			a, b := w.hosts[0].end, w.hosts[1].end
			switch w.random.IntN(3) {
			case 0:
				a.Lane(b).Cut()
			case 1:
				b.Lane(a).Cut()
			default:
				w.net.Partition(a)
			}
			w.net.After(between(w.random, time.Microsecond, 10*w.ackTimeout), w.net.Heal)
		})
	}
}

// drawDeath and beginDeath: the link dies, in one direction or both.
func drawDeath(w *walk) settings {
	r := w.random
	s := drawFaults(w)
	if oneIn(r, 3) {
		s = drawClean(w)
	}
	// Only the death of the link must be the end.
	if s.retries == 7 {
		s.retries = 1 + r.IntN(7)
		s.minTimeout = max(s.minTimeout, 2*s.roundTrip())
		s.setTimeouts(r)
		if s.link.Loss+s.link.Duplicate+s.link.Flip+s.link.Truncate+s.link.Reorder > 0 {
			s.retries = 7
		}
	} else {
		s.retries = 40
	}
	return s
}

func beginDeath(w *walk) {
	// A dead client may hold receives that the others need: the server has to learn
	// of it.
	w.deaf = oneIn(w.random, 2) && !w.shared
	dead := time.Duration(0)
	client := pick(w.random, w.hosts[1:]...)
	// Other clients, if there are any, must not notice.
	struck := func(s *side) bool { return s.host == client || s.peer.host == client }
	w.cause = func(s *side, r *request, status transport.Status) bool {
		return dead != 0 && struck(s) && status == transport.StatusRetryExceeded
	}
	w.after(func() {
		w.note("the link of %s dies", client.name)
		dead = w.net.Now()
		a, b := w.hosts[0].end, client.end
		switch w.random.IntN(4) {
		case 0:
			a.Lane(b).Cut()
		case 1:
			b.Lane(a).Cut()
		default:
			w.net.Partition(b)
		}
		bound := time.Duration(w.retries+2)*(w.ackTimeout+w.late+w.react) + 2*w.roundTrip() + wire.RNRTimer(w.rnrTimer) + time.Millisecond
		w.net.After(bound, func() {
			for _, s := range w.sides {
				if struck(s) && s.failed == nil && s.ended < len(s.posted) && s.posted[s.ended].posted <= dead {
					w.failf("%s: %v after the death of the link, request %d has not failed", s.name, bound, s.ended)
				}
			}
		})
	})
}

// drawBystanders draws several clients, of which one will lose its link.
func drawBystanders(w *walk) settings {
	s := drawShared(w)
	s.clients = max(2, s.clients)
	s.retries = 40
	s.receives += s.clients * s.pairs // each may hold one until it has failed
	return s
}

// beginClose: one end closes, and tells the other what it has carried out.
func beginClose(w *walk) {
	w.cause = func(s *side, _ *request, status transport.Status) bool {
		return status == transport.StatusRetryExceeded && s.peer.failed != nil // it was told too late
	}
	w.after(func() {
		s := pick(w.random, w.sides...)
		s.shut(errClosed, transport.StatusFlushed)
		delivered := s.q.Delivered()
		w.net.After(between(w.random, time.Nanosecond, 10*w.roundTrip()+time.Microsecond), func() {
			s.peer.kept = s.peer.failed == nil
			s.peer.q.PeerDelivered(delivered)
			s.peer.shut(errTold, pick(w.random, transport.StatusFlushed, transport.StatusRetryExceeded))
		})
	})
}

// beginRevoke: a region is closed under the requests that use it.
func beginRevoke(w *walk) {
	var closed *region
	var held []byte
	w.cause = func(s *side, r *request, status transport.Status) bool {
		switch {
		case closed == nil:
			return false
		case status == transport.StatusFlushed:
			return closed.host == s.host && closed != s.slots // this end refused a request of the peer's
		}
		switch closed {
		case s.writable, s.readable, s.open:
			return status == transport.StatusRemoteAccess && closed.covers(r.target) && r.target.n > 0
		case s.slots:
			return status == transport.StatusLocalProtection && len(r.content) > 0
		case s.peer.receives.region:
			return status == transport.StatusRemoteOperation && r.wr.Op == transport.OpSend
		}
		return false
	}
	w.after(func() {
		s := pick(w.random, w.sides...)
		closed = pick(w.random, s.writable, s.readable, s.open, s.slots, s.slots, s.receives.region)
		w.note("%s of %s is closed", closed.name, closed.host.name)
		closed.closed = true
		held = bytes.Clone(closed.host.mem(closed.at))
	})
	w.atEnd = func() {
		if closed == nil {
			return
		}
		if !bytes.Equal(held, closed.host.mem(closed.at)) {
			w.failf("%s: memory was changed after the region was closed", closed.name)
		}
		closed.host.adopt(closed.at)
	}
}

// covers reports whether a part of the host's memory is within the region.
func (r *region) covers(p piece) bool { return p.off >= r.at.off && p.end() <= r.at.end() }
