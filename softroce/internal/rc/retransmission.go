package rc

import (
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// repeat describes the last time that the requester went back, so that it does
// so once for each loss, and not for each packet that reports it.
type repeat struct {
	from sequence // the oldest packet then
	end  sequence // and the one behind the last: what is before it may have arrived twice
	at   Time
	naks uint     // sequence NAKs that had it go back to there again
	lost sequence // the READ or atomic that was repeated because its response was lost
}

// goBack sends everything from the oldest packet on again.
func (q *QueuePair) goBack(now Time) {
	t := &q.req
	t.next = t.oldest
	q.sends.cursor = q.sends.head
	t.unasked, t.probe, t.probing = 0, 0, false
	t.parts.goBack()
	t.roundTrip.forget()
	if t.repeat.from != t.oldest {
		t.repeat.naks = 0
	}
	t.repeat.from, t.repeat.end, t.repeat.at = t.oldest, t.end, now
}

// nakPatience is how long a sequence NAK is assumed to be older than the last
// retransmission, while no round-trip time is known. Then it is half of that, because a
// NAK is not delayed as an ACK may be. A later NAK means that a retransmission was lost.
// With each of these, the patience doubles: a queue that is full of what was sent again
// must get time to drain, or it never has room for the missing packet.
const nakPatience = 100 * time.Microsecond

// missing goes back after a sequence NAK for the oldest packet.
func (q *QueuePair) missing(now Time) {
	t := &q.req
	if t.restUntil != 0 {
		return // everything will be sent again anyway
	}
	if t.repeat.from == t.oldest {
		patience := t.roundTrip.smooth / 2
		if patience == 0 {
			patience = nakPatience
		}
		if now-t.repeat.at < patience<<t.repeat.naks {
			return
		}
		t.repeat.naks = min(t.repeat.naks+1, 10)
	}
	t.window.lost(t.oldest, t.end)
	q.goBack(now)
}

// responseLost goes back to the READ or atomic at the oldest packet, because
// something behind it was acknowledged. Everything that is acknowledged until the
// response arrives says the same, so this happens once until there is progress or
// a timeout.
func (q *QueuePair) responseLost(now Time) {
	t := &q.req
	if t.repeat.lost == t.oldest {
		return
	}
	q.counters.LostResponses++
	t.window.lost(t.oldest, t.end)
	q.goBack(now)
	t.repeat.lost = t.oldest
}

// rest waits for as long as a receiver asked for that is not ready, before the
// oldest packet is sent again.
func (q *QueuePair) rest(code uint8, now Time) {
	t := &q.req
	if t.restUntil != 0 {
		return // a copy
	}
	t.retries = 0 // the peer is there
	t.rnrRetries++
	if q.cfg.RNRRetries < RNRForEver && t.rnrRetries > q.cfg.RNRRetries {
		q.failOldest(transport.StatusRNRRetryExceeded, fmt.Sprintf("the peer had no receive, %d times in a row", t.rnrRetries), true)
		return
	}
	q.goBack(now)
	t.credits.turnedAway(q.sends.at(q.sends.head).message)
	t.deadline = 0
	t.restUntil = now + wire.RNRTimer(code)
}

// Expire is to be called at the Deadline, or later. Then call Next.
func (q *QueuePair) Expire(now Time) {
	if q.err != nil {
		q.flush(transport.StatusFlushed)
		return
	}
	t := &q.req
	if t.restUntil != 0 {
		if now >= t.restUntil {
			t.restUntil = 0
		}
		return
	}
	if t.deadline == 0 || now < t.deadline {
		return
	}
	if t.mayProbe() {
		q.probeTail()
		q.startTimer(now)
		return
	}
	q.counters.Timeouts++
	t.retries++
	if t.retries > q.cfg.Retries {
		q.failOldest(transport.StatusRetryExceeded, fmt.Sprintf("nothing from the peer after %d tries", t.retries), true)
		return
	}
	t.window.timedOut(t.end)
	t.roundTrip.backOff()
	q.goBack(now)
	t.repeat.lost = 0
	q.startTimer(now)
}
