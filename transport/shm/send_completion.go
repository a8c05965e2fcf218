package shm

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/transport"
)

// completionSide is written by the owner of the send queue.
type completionSide struct {
	head     atomic.Uint32 // requests whose entries are free: up to the last completion polled
	done     uint32        // requests that are done
	signaled uint32        // signaled ones among them
	acked    uint32        // a past value of the peer's acked
	blocked  uint32        // polls without progress
	settled  uint64        // with sendSide.posted at this value there is nothing to do
	failed   bool          // a request has failed: what comes after it is flushed
}

// After this many polls without progress, while a completion is due, the peer's
// background side may be asked to help: soon, for a program that pauses between
// its polls, and now and then for one that spins.
const (
	fewBlockedPolls  = 8
	manyBlockedPolls = 1 << 16
)

// completeSends finishes requests in order and returns the number of completions.
// It belongs to the owner of the send queue.
func (qp *queuePair) completeSends(dst []transport.Completion) int {
	c := &qp.comp
	posted := qp.send.posted.Load()
	tail, signaled := uint32(posted), uint32(posted>>32)
	first := c.done
	n := 0
	for c.done != tail && n < len(dst) {
		e := &qp.send.entries[c.done&qp.own.mask]
		if c.failed {
			e.status = transport.StatusFlushed
		} else if e.awaits && int32(c.acked-e.message) <= 0 {
			// While no completion is due, do not touch the acknowledgement's cache
			// line: the peer writes it.
			if c.signaled == signaled && tail-c.done <= qp.cfg.SendDepth/2 && qp.state.Load() == stateReady {
				c.settled = posted
				break
			}
			if c.acked = qp.peer.acked.Load(); int32(c.acked-e.message) <= 0 {
				decided := false
				if qp.state.Load() != stateReady {
					e.status, decided = qp.fate(e)
				}
				if !decided {
					break
				}
			}
		}
		if c.failed = e.status != transport.StatusOK; c.failed && qp.state.Load() == stateReady {
			qp.fail(qp.send.condemned, e.status) // the requests before it are done
		}
		if e.signaled || c.failed {
			dst[n] = transport.Completion{ID: e.id, Conn: qp.cfg.Conn, Op: e.op, Status: e.status}
			n++
		}
		if e.signaled {
			c.signaled++
		}
		c.done++
		if e.signaled || c.failed {
			order.Publish(&c.head, c.done)
		}
	}
	switch {
	case c.done != first:
		c.blocked = 0
	case c.done != tail && c.settled != posted:
		if c.blocked++; c.blocked == fewBlockedPolls || c.blocked%manyBlockedPolls == 0 {
			qp.sendCQ.watch()
		}
	}
	if c.done == tail {
		c.settled = posted
	}
	if qp.state.Load() == stateClosed {
		qp.settleSends()
	}
	return n
}

// fate decides, in the error state, the status of a request whose message the
// peer has not acknowledged. It is undecided while the peer may still publish
// what it has consumed.
func (qp *queuePair) fate(e *sendEntry) (status transport.Status, decided bool) {
	down := qp.linkDown.Load()
	ended := qp.peer.ended.Load() != 0
	if !ended && down == linkUp && !qp.graceOver.Load() && qp.state.Load() != stateClosed {
		return transport.StatusOK, false
	}
	if qp.comp.acked = qp.peer.acked.Load(); int32(qp.comp.acked-e.message) > 0 { // the last word
		return transport.StatusOK, true
	}
	switch {
	case ended && qp.peer.failure.Load() != 0 && qp.peer.failedIndex.Load() == e.message:
		return transport.Status(qp.peer.failure.Load()), true
	}
	return endStatus(down), true
}

// endStatus is that of a request that the end of the link has cut off.
func endStatus(down uint32) transport.Status {
	if down == linkGone {
		return transport.StatusRetryExceeded
	}
	return transport.StatusFlushed
}

// unacknowledged reports whether a message awaits its acknowledgement, and which
// is the oldest. It may be called from anywhere.
func (qp *queuePair) unacknowledged() (oldest uint32, yes bool) {
	oldest = qp.peer.acked.Load()
	return oldest, qp.own.slots[oldest&qp.own.mask].sequence.Load() == oldest+1
}
