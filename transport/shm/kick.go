package shm

import "sync/atomic"

// staleness follows the oldest unacknowledged message of a queue pair. It
// belongs to the send queue's look, of which one runs at a time.
type staleness struct {
	seen   atomic.Uint64 // what the last look saw: index+1, 0 for nothing
	kicked atomic.Uint64 // index+1 of the last message that the peer was kicked for
}

// lookAfter asks the peer's background side, once a message, to consume what its
// program has not consumed since the last look. It reports whether a message is
// unacknowledged, and whether it is another one than last time.
func (qp *queuePair) lookAfter() (waits, moved bool) {
	qp.messages.Lock() // release waits for it
	defer qp.messages.Unlock()
	if qp.released.Load() || qp.state.Load() != stateReady {
		return false, false
	}
	oldest, waits := qp.unacknowledged()
	if !waits {
		qp.stale.seen.Store(0)
		return false, false
	}
	mark := uint64(oldest) + 1
	moved = qp.stale.seen.Swap(mark) != mark
	if !moved {
		if qp.stale.kicked.Swap(mark) != mark {
			qp.cfg.Control.Notify(byte(messageKick))
		}
		// A program that waits for its sends may not poll its receives.
		if next := qp.own.acked.Load(); qp.peer.slots[next&qp.peer.mask].sequence.Load() == next+1 {
			qp.advance()
		}
	}
	return true, moved
}
