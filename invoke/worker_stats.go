package invoke

import (
	"sync/atomic"
	"time"
)

// Stats is what a worker has done since it was made.
type Stats struct {
	Calls    uint64        // executed
	Errors   uint64        // of them: those that ended with another status than ok
	Refused  uint64        // requests answered without executing anything
	BytesIn  uint64        // inputs of executed calls
	BytesOut uint64        // results of executed calls
	Busy     time.Duration // in functions
	Clients  int           // connected now
}

// tally is counted by the loop, and published from time to time.
type tally struct {
	calls, errors, refused, bytesIn, bytesOut, busy uint64
}

// published is the part of a worker that other goroutines read. It has one
// writer.
type published struct {
	calls, errors, refused, bytesIn, bytesOut, busy atomic.Uint64
}

func (p *published) store(t *tally) {
	p.calls.Store(t.calls)
	p.errors.Store(t.errors)
	p.refused.Store(t.refused)
	p.bytesIn.Store(t.bytesIn)
	p.bytesOut.Store(t.bytesOut)
	p.busy.Store(t.busy)
}

// publishEvery is how many calls may go by unpublished while there is no pause.
const publishEvery = 1024

// Stats returns what the worker has done. It may be called from anywhere; while
// the worker is busy without a pause, the numbers may be 1024 calls old.
func (w *Worker) Stats() Stats {
	w.mu.Lock()
	clients := w.clients
	w.mu.Unlock()
	p := &w.published
	return Stats{
		Calls: p.calls.Load(), Errors: p.errors.Load(), Refused: p.refused.Load(),
		BytesIn: p.bytesIn.Load(), BytesOut: p.bytesOut.Load(),
		Busy: time.Duration(p.busy.Load()), Clients: clients,
	}
}
