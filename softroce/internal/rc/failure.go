package rc

import (
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// Why requests fail, in words.
const (
	closedLocally  = "a local region of the request was closed before it was carried out"
	faultedLocally = "the local memory of the request is not mapped, or does not allow it"
	refusedByPeer  = "the peer refused it"
)

// closedLocally ends the request at the cursor, whose memory is gone, and with it
// the queue pair, as soon as all requests before it have ended. Until then there
// is nothing more to send.
func (q *QueuePair) closedLocally() bool {
	if q.sends.head == q.sends.cursor {
		why := closedLocally
		if q.sends.at(q.sends.head).faulted {
			why = faultedLocally
		}
		q.failOldest(transport.StatusLocalProtection, why, true)
	}
	return false
}

// PayloadFaulted takes back the packet that Next gave last, because its payload could
// not be read (see Memory): its request, own or the peer's, fails. Call Next afterwards.
func (q *QueuePair) PayloadFaulted(p *wire.Packet) {
	if p.Opcode.IsReadResponse() {
		q.resp.saved.drop()
		q.refuse(q.resp.expected.near(p.PSN), wire.NAKRemoteOperational, regionFaulted)
		return
	}
	s, t := &q.sends, &q.req
	t.next-- // as if it had been lost
	if s.cursor == s.begun || t.next < s.at(s.cursor).first {
		s.cursor--
	}
	r := s.at(s.cursor)
	r.unsound, r.faulted = true, true
}

// failOldest takes the queue pair to the error state because of the oldest
// request, which ends with the status.
func (q *QueuePair) failOldest(status transport.Status, why string, tell bool) {
	r := q.sends.at(q.sends.head)
	cause := &transport.StatusError{Op: r.Op, ID: r.ID, Status: status}
	q.resp.dropAnswers()
	q.fail(fmt.Errorf("%w: %s", cause, why), status, tell)
}

// fail takes the queue pair to the error state for a reason found here.
func (q *QueuePair) fail(reason error, first transport.Status, tell bool) {
	q.abandonReceive(transport.StatusFlushed)
	q.err = reason
	q.cfg.Sink.Failed(reason, tell)
	q.stop(first)
}

// Fail takes the queue pair to the error state: the peer is gone, or the
// connection was closed. The oldest request ends with the status first, all others
// as flushed, later ones, too. The peer is not notified, and Sink.Failed is not
// called. It does nothing when the queue pair is in the error state already.
func (q *QueuePair) Fail(reason error, first transport.Status) {
	if q.err != nil {
		return
	}
	if reason == nil {
		reason = errors.New("the queue pair was taken to the error state")
	}
	q.resp.dropAnswers()
	q.abandonReceive(transport.StatusFlushed)
	q.err = reason
	q.stop(first)
}

// stop ends all requests, and all waiting.
func (q *QueuePair) stop(first transport.Status) {
	q.req.deadline, q.req.restUntil = 0, 0
	q.resp.ackPending, q.resp.ackUrgent = false, false
	q.flush(first)
}

// refuse takes the queue pair to the error state because of the peer's packet
// psn, and has a NAK sent, behind the answers to the packets before it.
func (q *QueuePair) refuse(psn sequence, syndrome uint8, why string) {
	a := &q.resp
	a.nak, a.nakPSN = syndrome, psn
	a.fatal, a.fatalPSN = syndrome, psn
	if q.err == nil {
		q.fail(fmt.Errorf("the peer's request was refused: %s", why), transport.StatusFlushed, false)
	}
}

// handleInError takes a packet in the error state. Nothing is carried out, but a
// peer whose request was refused gets the NAK and the responses before it again:
// they may have been lost.
func (q *QueuePair) handleInError(p *wire.Packet) {
	a := &q.resp
	if a.fatal == 0 || !p.Opcode.IsRequest() || p.Opcode.IsUD() {
		return
	}
	psn := a.fatalPSN.near(p.PSN)
	if psn > a.fatalPSN {
		return
	}
	q.counters.Duplicates++
	if psn < a.fatalPSN && q.replay(p, psn) {
		return
	}
	a.nak, a.nakPSN = a.fatal, a.fatalPSN
}
