package rc

import (
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// credits records up to which message the peer has receives (end-to-end flow control). A
// message beyond may be sent, but alone: it may be turned away, with everything behind it.
type credits struct {
	limited bool
	limit   sequence // number of the last message that there is a receive for
	seen    sequence // number of messages that the peer has completed, as far as known
}

func (c *credits) init() { c.seen = firstSequence(0); c.limit = c.seen }

// learn records an ACK's credits. begun is the number of the last message that
// was begun. Credits of an old ACK remain valid, so that acknowledgements may
// come in any order; but only the newest decides whether there is a limit.
func (c *credits) learn(p *wire.Packet, begun sequence, newest bool) {
	n, limited := wire.DecodeCredits(p.Syndrome)
	if !newest && !(limited && c.limited) {
		return
	}
	if !limited {
		c.limited = false
		return
	}
	completed := c.seen.near(p.MSN)
	if completed > begun {
		return // not from a correct peer
	}
	c.seen = max(c.seen, completed)
	limit := completed + sequence(n)
	if c.limited {
		limit = max(limit, c.limit)
	}
	c.limited, c.limit = true, limit
}

// turnedAway notes that there was no receive for a message.
func (c *credits) turnedAway(message sequence) {
	c.limited, c.limit = true, message-1
}

// covers reports whether there is a receive for a message.
func (c *credits) covers(message sequence) bool { return !c.limited || message <= c.limit }

// beyondCredits reports whether a packet of a request takes a receive that the
// peer may not have: the first packet of a Send, until it is acknowledged, and
// the last one of a WriteImm.
func (q *QueuePair) beyondCredits(r *request, last bool) bool {
	switch {
	case q.req.credits.covers(r.message):
		return false
	case r.Op == transport.OpSend:
		return q.req.oldest <= r.first
	default:
		return r.Op == transport.OpWriteImm && last
	}
}

// grant is the syndrome of an ACK: the credits of the peer.
func (q *QueuePair) grant() uint8 {
	n := q.cfg.Receives.Posted()
	if n < 0 && q.resp.turnedAway {
		// Others take from the same queue, which was empty a moment ago. "No limit"
		// would end the wait of the peer that was turned away.
		n = 0
	}
	return wire.SyndromeACK | wire.EncodeCredits(n)
}
