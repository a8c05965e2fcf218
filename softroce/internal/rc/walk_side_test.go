package rc_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/softroce/internal/rc"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// side is a queue pair, with its driver, its program and the model of what the
// program may expect.
type side struct {
	w         *walk
	host      *host
	peer      *side
	name      string
	q         *rc.QueuePair
	qpn, conn uint32
	firstPSN  uint32

	// The driver.
	wakeAt         time.Duration // 0: not
	sentEnd, acked uint32        // PSN after the last one sent, and after the last one acknowledged
	messageEnds    []uint32      // PSN after each message that was sent
	answered       []bool        // of each: it is a READ or an atomic
	unasked        int           // packets in a row that ask for no acknowledgement
	follows        uint32        // PSN after the one sent last
	ackAt          time.Duration
	failed         error // what Failed or the walk's own Fail said
	tell           bool
	given          transport.Status // what its first failure must be, if the walk shut it
	shutAt         int              // the first request that was posted after that
	kept           bool             // the peer has told what it had carried out, when it closed

	// The program's sends.
	random    *rand.Rand
	slots     *region // local memory, a slot for each request
	slotBytes int
	slotUsers []int
	entries   int // taken in the send queue
	parked    bool
	unmarked  int // requests since the last signaled one
	posted    []*request
	ended     int // of posted, from the beginning
	succeeded int
	fenced    int        // index of the last request with a fence
	messages  []*request // those that take a receive, in order
	salt      uint64
	minimum   int

	// What the peer granted to this side.
	writable, readable, open *region

	// The program's receives.
	receives *receives
	taken    []*receive // by the queue pair, not ended
	received int        // of peer.messages
	frozen   [2][]byte  // what the peer's zones held when this side failed
}

func newSide(w *walk, h *host, name string) *side {
	s := &side{
		w: w, host: h, name: name,
		conn:   w.random.Uint32(),
		random: rand.New(rand.NewPCG(w.seed, w.random.Uint64())),
		salt:   w.random.Uint64(),
		fenced: -1,
	}
	for s.qpn = w.random.Uint32() & wire.QPNMask; h.sides[s.qpn] != nil; s.qpn++ {
	}
	h.sides[s.qpn] = s
	s.slotBytes = (w.maxBytes + 40 + 7) &^ 7
	s.slots = h.register(name+" slots", s.slotBytes*w.depth, transport.LocalOnly)
	s.slotUsers = make([]int, w.depth)
	s.receives = h.shared
	if s.receives == nil {
		s.receives = newReceives(h, name+" receives", w.settings.receives)
		s.receives.owner = s
	}
	return s
}

// grant makes the regions of the peer's host that this side may use: each is
// granted no more than it is used for.
func (s *side) grant() {
	zone := 2*s.w.maxBytes + 512
	s.writable = s.peer.host.register(s.name+" may write", zone, transport.RemoteWrite)
	s.readable = s.peer.host.register(s.name+" may read", zone, transport.RemoteRead)
	s.open = s.peer.host.register(s.name+" may do all", zone/2, transport.RemoteAll)
}

// start begins the programs.
func (s *side) start() {
	if s.receives.owner == s {
		s.receives.start()
	}
	s.parked = true
	s.resume()
}

// resume has the program go on that found the send queue full.
func (s *side) resume() {
	if s.parked {
		s.parked = false
		s.w.net.After(1+s.pause(s.w.gap), s.step)
	}
}

// pause draws a time with a mean.
func (s *side) pause(mean time.Duration) time.Duration {
	return time.Duration(s.random.ExpFloat64() * float64(mean))
}

// step is a turn of the program that posts sends.
func (s *side) step() {
	for range 1 + s.random.IntN(s.w.burst) {
		if len(s.posted) == s.w.requests || s.entries == s.w.depth {
			break
		}
		s.post()
	}
	s.parked = true
	if s.entries < s.w.depth && len(s.posted) < s.w.requests {
		s.resume()
	}
}

// next is when the driver has something to do; 0: never, as things stand.
func (s *side) next() time.Duration {
	at := s.wakeAt
	if s.ackAt != 0 && (at == 0 || s.ackAt < at) {
		at = s.ackAt
	}
	if d := s.q.Deadline(); d != 0 && (at == 0 || d+s.w.late < at) {
		at = d + s.w.late
	}
	return at
}

// wake has the driver look, within d.
func (s *side) wake(d time.Duration) {
	if at := s.w.now() + d; s.wakeAt == 0 || at < s.wakeAt {
		s.wakeAt = at
	}
}

// drive does what an engine does for a queue pair: timers, packets, ACKs.
func (s *side) drive() {
	w, now := s.w, s.w.now()
	if d := s.q.Deadline(); d != 0 && d+w.late <= now {
		w.note("%s: expire", s.name)
		s.q.Expire(now)
		s.unasked = 0
		if again := s.q.Deadline(); again != 0 && again <= now && again+w.late <= now {
			w.failf("%s: after Expire at %v, the deadline is %v", s.name, now, again)
		}
	}
	due := w.ackDelay == 0 || s.ackAt != 0 && s.ackAt <= now
	s.wakeAt = 0
	for sent := 0; ; sent++ {
		if sent == w.batch {
			s.wake(time.Microsecond) // the rest later: others want to send, too
			break
		}
		_, urgent := s.q.AckDue()
		var p wire.Packet
		if !s.q.Next(now, due || urgent, &p) {
			break
		}
		s.checkPacket(&p)
		s.host.send(s.peer.host, &p)
	}
	switch pending, _ := s.q.AckDue(); {
	case !pending:
		s.ackAt = 0
	case due && s.wakeAt == 0:
		w.failf("%s: Next did not send an ACK that was due", s.name)
	case due || s.ackAt == 0:
		s.ackAt = now + max(w.ackDelay, time.Microsecond)
	}
}

// checkPacket holds what is sent against the rules that need no memory.
func (s *side) checkPacket(p *wire.Packet) {
	w, n := s.w, p.PayloadBytes()
	bad := ""
	switch {
	case p.DestQP != s.peer.qpn:
		bad = "for another queue pair"
	case p.PKey != wire.DefaultPKey:
		bad = "with another partition key"
	case p.PSN > wire.PSNMask:
		bad = "with a PSN beyond 24 bits"
	case (p.Opcode.IsFirst() || p.Opcode.IsMiddle()) && n != w.mtu:
		bad = "not full"
	case n > w.mtu:
		bad = "too long"
	case p.Opcode.HasPayload() && !p.Opcode.IsOnly() && n == 0:
		bad = "empty"
	case p.Opcode.IsUD():
		bad = "of another service"
	case p.Opcode.IsFirst() && p.Opcode.HasRETH() && int(p.Length) <= w.mtu:
		bad = "that begins what fits into one"
	case p.Solicited && !p.Opcode.IsLast():
		bad = "that is solicited and not the last"
	case p.Opcode.IsRequest() && p.Opcode.IsLast() && !p.AckRequest && w.signaled == 1:
		bad = "that ends a message and asks for no acknowledgement"
	case p.Opcode == wire.Acknowledge && p.Syndrome&wire.SyndromeKind == wire.SyndromeACK && !w.lawless:
		bad = s.peer.checkACK(p.PSN, int(p.MSN))
	}
	if bad != "" {
		w.failf("%s sends a packet %s: %s", s.name, bad, describePacket(p))
	}
	if p.Opcode.IsRequest() {
		s.checkInFlight(p)
	}
}

// checkInFlight checks that no more packets are in flight than the window allows,
// those that a READ asks for included. A READ request may exceed it when nothing
// before it asked for an acknowledgement, by a half of it and no more than 16
// packets.
func (s *side) checkInFlight(p *wire.Packet) {
	w, n := s.w, 1
	if p.Opcode == wire.ReadRequest {
		n = max(1, (int(p.Length)+w.mtu-1)/w.mtu)
	}
	end := wire.PSNAdd(p.PSN, n)
	anew := wire.PSNDiff(end, s.sentEnd) > 0
	if anew {
		s.sentEnd = end
		if p.Opcode.IsLast() {
			s.messageEnds = append(s.messageEnds, end)
			s.answered = append(s.answered, p.Opcode == wire.ReadRequest || p.Opcode.IsAtomic())
		}
	}
	if p.PSN != s.follows {
		s.unasked = 0 // it went back
	}
	s.follows = wire.PSNAdd(p.PSN, n)
	if s.unasked++; p.AckRequest {
		s.unasked = 0
	} else if s.unasked >= 64 {
		w.failf("%s: %d packets in a row ask for no acknowledgement", s.name, s.unasked)
	}
	window := w.window
	if p.Opcode == wire.ReadRequest {
		window += min((w.window+1)/2, 16) - 1
	}
	if n := wire.PSNDiff(s.sentEnd, s.acked); anew && n > window && !w.lawless {
		w.failf("%s: %d packets are in flight, with a window of %d: %s", s.name, n, w.window, describePacket(p))
	}
}

// messagesUntil is how many messages end with the packet of a number, or before.
func (s *side) messagesUntil(psn uint32) int {
	n, _ := slices.BinarySearchFunc(s.messageEnds, psn, func(end, psn uint32) int {
		return cmp.Or(wire.PSNDiff(end, psn+1), -1)
	})
	return n
}

// checkACK says what is wrong with an ACK of this side's messages: its number is
// never that of a READ or an atomic, and its MSN counts messages up to that number
// and READs and atomics that follow.
func (s *side) checkACK(psn uint32, msn int) string {
	n := s.messagesUntil(psn)
	next := s.firstPSN // where the first message begins that ends behind it
	if n > 0 {
		next = s.messageEnds[n-1]
	}
	within := wire.PSNDiff(psn, next) >= 0 // of that message, or else the last packet of the one before
	if msn < n || msn > len(s.answered) || slices.Contains(s.answered[n:msn], false) {
		return fmt.Sprintf("whose MSN is not %d, nor counts READs and atomics behind that", n)
	}
	response := within && n < len(s.answered) && s.answered[n] || !within && n > 0 && s.answered[n-1]
	if response && msn-n < s.w.resources { // else this side has its response
		return "that acknowledges what is answered by a response"
	}
	return ""
}

// noteAnswer takes note of what a packet acknowledges.
func (s *side) noteAnswer(p *wire.Packet) {
	if !p.Opcode.IsResponse() {
		return
	}
	s.unasked = 0 // it may go back, and if only to what comes next anyway
	upTo := p.PSN
	if p.Opcode != wire.Acknowledge || p.Syndrome&wire.SyndromeKind == wire.SyndromeACK {
		upTo = wire.PSNAdd(upTo, 1)
	}
	if wire.PSNDiff(upTo, s.acked) > 0 && wire.PSNDiff(upTo, s.sentEnd) <= 0 {
		s.acked = upTo
	}
}

// done reports whether all has happened that this side waits for.
func (s *side) done() bool {
	if s.w.lawless && s.failed == nil {
		return false
	}
	if len(s.posted) < s.w.requests || s.ended < len(s.posted) {
		return false
	}
	return s.failed != nil || s.peer.failed != nil || s.received == len(s.peer.messages) && len(s.peer.posted) == s.w.requests
}

// finish checks that nothing is left over.
func (s *side) finish() {
	w := s.w
	if s.q.Outstanding() {
		w.failf("%s: requests are outstanding, after all have ended", s.name)
	}
	if deserted := s.failed == nil && s.peer.failed != nil; len(s.taken) > 0 && !deserted {
		w.failf("%s: %d receives were taken and never ended", s.name, len(s.taken))
	}
	for _, r := range s.taken { // the beginning of a message that will never be whole
		for _, p := range r.pieces {
			s.host.adopt(p)
		}
	}
	if s.entries != 0 {
		w.failf("%s: %d entries of the send queue were not freed", s.name, s.entries)
	}
	if s.failed != nil || s.peer.failed != nil {
		s.settle()
	}
}

// Sent implements rc.Sink.
func (s *side) Sent(c transport.Completion, entries int) {
	w := s.w
	index := int(c.ID ^ s.salt)
	w.note("%s: request %d (%v) ends: %v, %d entries", s.name, index, c.Op, c.Status, entries)
	if index < s.ended || index >= len(s.posted) {
		w.failf("%s: a completion of request %d, when %d of %d have ended", s.name, index, s.ended, len(s.posted))
	}
	if entries != index-s.ended+1 {
		w.failf("%s: the completion of request %d frees %d entries, when %d have ended", s.name, index, entries, s.ended)
	}
	for _, r := range s.posted[s.ended:index] {
		if r.wr.Flags&transport.Signaled != 0 {
			w.failf("%s: request %d is signaled, and was passed over by request %d", s.name, r.index, index)
		}
		s.end(r, transport.StatusOK)
	}
	r := s.posted[index]
	if want := (transport.Completion{ID: r.wr.ID, Conn: s.conn, Op: r.wr.Op, Status: c.Status, Vendor: c.Vendor}); c != want {
		w.failf("%s: completion %+v instead of %+v", s.name, c, want)
	}
	if c.Status == transport.StatusOK && r.wr.Flags&transport.Signaled == 0 {
		w.failf("%s: request %d is not signaled, and completed with success", s.name, index)
	}
	s.end(r, c.Status)
	s.entries -= entries
	if len(s.posted) < w.requests {
		s.resume()
	}
}

// Failed implements rc.Sink.
func (s *side) Failed(reason error, tell bool) {
	w := s.w
	w.note("%s: failed: %v (tell %v)", s.name, reason, tell)
	switch {
	case !w.kind.mayFail:
		w.failf("%s failed: %v", s.name, reason)
	case s.failed != nil:
		w.failf("%s failed again: %v, after %v", s.name, reason, s.failed)
	case reason == nil || reason.Error() == "":
		w.failf("%s failed for no reason", s.name)
	}
	s.fail(reason)
	s.tell = tell
	w.failures(s)
}
