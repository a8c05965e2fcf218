package rc

import "time"

// leastProbe is how long the requester waits at least before it probes. A
// peer that is busy, or asleep, may take as long and longer to answer; the probe
// is one packet too many then.
const leastProbe = 250 * time.Microsecond

// mayProbe reports whether the next deadline is for a probe: once since the last
// progress, if a round-trip time is known.
func (r *requester) mayProbe() bool {
	return !r.probed && r.roundTrip.backoff == 0 && r.roundTrip.smooth > 0
}

// startTimer sets the deadline: first for a probe, then for a timeout.
func (q *QueuePair) startTimer(now Time) {
	t := &q.req
	wait := t.roundTrip.timeout()
	if t.mayProbe() {
		wait = min(wait, max(leastProbe, 2*t.roundTrip.smooth+4*t.roundTrip.variation))
	}
	t.deadline = now + wait
}

// probeTail sends what was sent last again, and asks for an acknowledgement, because
// none came for a while: those packets may not have asked, the answer may be lost, or
// they are, and then this brings a NAK. It is TCP's tail loss probe (RFC 8985):
// without it, whatever is lost at the end of what was sent costs a timeout, which is
// many times longer. It happens once between two timeouts, and is not counted as one.
func (q *QueuePair) probeTail() {
	t, s := &q.req, &q.sends
	t.probed = true
	if t.next == t.oldest { // nothing is in flight, but to be sent again
		return
	}
	if s.cursor == s.begun || s.at(s.cursor).first == t.next {
		s.cursor--
	}
	if r := s.at(s.cursor); r.awaitsResponse() {
		t.next = max(t.parts.goBackOne(r.first), t.oldest)
	} else {
		t.next--
	}
	t.unasked = askEvery
	t.probing = true
	t.roundTrip.forget()
	t.repeat.end = t.end // what is sent again may arrive twice
}
