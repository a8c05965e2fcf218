package rc

import (
	"time"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// responder is the state of what is received.
type responder struct {
	expected sequence // the next packet to be carried out
	msn      uint32   // messages carried out, 24 bits
	message  message  // the one whose packets are arriving
	saved    resources

	// Acknowledging.
	ackPending bool // an ACK of all packets before expected is to be sent
	ackUrgent  bool
	unacked    int      // packets carried out since the last acknowledgement
	nak        uint8    // syndrome of the NAK to be sent; 0: none
	nakPSN     sequence // its number
	inRow      int      // answers sent in a row

	// Since the last packet that was carried out.
	silent     bool // a NAK told the peer that expected is missing, or has no receive
	silentFrom Time
	farthest   sequence // the last packet that arrived too early
	turnedAway bool     // expected had no receive, and the peer has had no ACK with credits since

	fatal    uint8 // syndrome of the NAK that ended the queue pair; 0: none did
	fatalPSN sequence
}

func (a *responder) init(cfg *Config) {
	a.expected = firstSequence(cfg.RecvPSN)
	a.saved.init(cfg.Resources)
}

// handleRequest takes a packet of a request of the peer.
func (q *QueuePair) handleRequest(p *wire.Packet, now Time) {
	a := &q.resp
	switch psn := a.expected.near(p.PSN); {
	case psn > a.expected:
		q.ahead(psn, now)
	case psn < a.expected:
		q.behind(p, psn)
	case p.Opcode.IsSend():
		q.receiveSend(p, now)
	case p.Opcode.IsWrite():
		q.receiveWrite(p, now)
	case p.Opcode == wire.ReadRequest:
		q.receiveRead(p)
	default:
		q.receiveAtomic(p)
	}
}

// nakAgain is how long the responder is silent after a NAK. One NAK for each gap
// is the rule, but if it is lost, only a timeout helps the peer, 10 to 100 times
// later. Packets from behind the gap that still arrive after nakAgain mean that
// the NAK was lost. It is longer than an ordinary round trip, in which such
// packets arrive anyway; a requester further away ignores a repeated NAK.
const nakAgain = 200 * time.Microsecond

// ahead takes packet psn, which is not expected yet: something is missing. When the numbers
// of such packets fall, the peer has gone back, and what was missing was lost again: that
// is a new gap. A network that reorders looks the same, and costs a NAK too many.
func (q *QueuePair) ahead(psn sequence, now Time) {
	a := &q.resp
	q.counters.OutOfOrder++
	again := psn < a.farthest || now-a.silentFrom >= nakAgain
	a.farthest = psn
	if a.silent && !again || a.nak != 0 {
		return
	}
	a.silent, a.silentFrom = true, now
	a.nak, a.nakPSN = wire.NAKSequence, a.expected
}

// behind takes a packet that was carried out before: its answer was lost or is
// late, or the network has copied it.
func (q *QueuePair) behind(p *wire.Packet, psn sequence) {
	q.counters.Duplicates++
	if !q.replay(p, psn) {
		// The peer waits, and may be about to send all of its window again.
		q.resp.ackPending, q.resp.ackUrgent = true, true
	}
}

// carriedOut moves expected to the next packet. packets is how many numbers it
// takes, ends whether its message is complete.
func (q *QueuePair) carriedOut(p *wire.Packet, packets uint32, ends bool) {
	a := &q.resp
	q.counters.RequestsReceived++
	a.expected += sequence(packets)
	if ends {
		a.msn = (a.msn + 1) & wire.PSNMask
		a.message.kind = noMessage
	}
	a.silent, a.turnedAway = false, false
	a.nak = 0 // was for this packet
	a.unacked++
	if p.AckRequest && p.Opcode.HasPayload() { // else it is answered
		a.ackPending = true
		// In the middle of a message, the peer asks because it may have to stop.
		a.ackUrgent = a.ackUrgent || !ends
	}
}

// dropAnswers drops all answers to the peer.
func (a *responder) dropAnswers() {
	a.saved.drop()
	a.nak = 0
}
