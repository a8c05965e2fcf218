package shm

import "sync/atomic"

// staleness follows the oldest unacknowledged message of a queue pair. It
// belongs to the send queue's look, of which one runs at a time.
type staleness struct {
	seen   atomic.Uint64 // what the last look saw: index+1, 0 for nothing
	kicked atomic.Uint64 // index+1 of the last message that the peer was kicked for
}

// kickIfStale asks the peer's background side to consume what its program has
// left lying since the last look. It reports whether there is something left to
// look after.
func (qp *queuePair) kickIfStale() bool {
	qp.messages.Lock() // release waits for it
	defer qp.messages.Unlock()
	if qp.released.Load() {
		return false
	}
	oldest, waits := qp.unacknowledged()
	if !waits || qp.state.Load() != stateReady {
		qp.stale.seen.Store(0)
		return false
	}
	mark := uint64(oldest) + 1
	if qp.stale.kicked.Load() == mark {
		return false // its turn: it acknowledges when there is a receive
	}
	if qp.stale.seen.Swap(mark) != mark {
		return true
	}
	qp.stale.kicked.Store(mark)
	qp.cfg.Control.Send([]byte{byte(messageKick)}, -1)
	return false
}
