package rc

import "github.com/rfaas-go/rfaas/softroce/wire"

// manyUnacked is how many packets may be carried out before an acknowledgement
// that was asked for is urgent.
const manyUnacked = 16

// AckDue reports whether an acknowledgement waits for a Next with acks set. An
// urgent one should be sent at once, because the peer may wait for it. Another
// may wait for more packets to acknowledge, or be sent behind the program's own.
func (q *QueuePair) AckDue() (pending, urgent bool) {
	a := &q.resp
	return a.ackPending, a.ackPending && (a.ackUrgent || a.unacked >= manyUnacked)
}

// acknowledge fills p with an ACK of all that was carried out, READs and atomics
// at the end left out: they are acknowledged by their responses, and rxe takes an
// ACK with the number of one for its response. The MSN counts them.
func (q *QueuePair) acknowledge(p *wire.Packet) {
	a := &q.resp
	*p = wire.Packet{
		Opcode: wire.Acknowledge, PKey: wire.DefaultPKey, DestQP: q.cfg.PeerQPN,
		PSN: (a.saved.before(a.expected) - 1).onWire(), Syndrome: q.grant(), MSN: a.msn,
	}
	q.counters.AcksSent++
	a.acknowledged()
}

// acknowledged notes that the peer gets an acknowledgement of all that was carried out.
func (a *responder) acknowledged() {
	a.ackPending, a.ackUrgent, a.unacked = false, false, 0
}

// refusal fills p with the NAK that is to be sent.
func (q *QueuePair) refusal(p *wire.Packet) {
	a := &q.resp
	q.nak(p, a.nak, a.nakPSN)
	if a.nak&wire.SyndromeKind == wire.SyndromeNAK || a.turnedAway {
		a.acknowledged()
	} // else there are receives again, and an ACK with credits follows
	a.nak = 0
}

// nak fills p with a NAK.
func (q *QueuePair) nak(p *wire.Packet, syndrome uint8, psn sequence) {
	*p = wire.Packet{
		Opcode: wire.Acknowledge, PKey: wire.DefaultPKey, DestQP: q.cfg.PeerQPN,
		PSN: psn.onWire(), Syndrome: syndrome, MSN: q.resp.msn,
	}
	switch syndrome {
	case wire.NAKSequence:
		q.counters.SequenceNAKsSent++
	case wire.NAKInvalidRequest:
		q.counters.InvalidRequestNAKsSent++
	case wire.NAKRemoteAccess:
		q.counters.RemoteAccessNAKsSent++
	case wire.NAKRemoteOperational:
		q.counters.RemoteOperationNAKsSent++
	default:
		q.counters.RNRNAKsSent++
	}
}

// ReceivesPosted notes that receives were posted, also to a shared queue. If a message
// was turned away, Next then returns an ACK with credits, which ends the peer's wait.
func (q *QueuePair) ReceivesPosted(_ Time) {
	a := &q.resp
	if q.err != nil || !a.turnedAway || q.cfg.Receives.Posted() == 0 {
		return
	}
	a.turnedAway = false
	a.ackPending, a.ackUrgent = true, true
}
