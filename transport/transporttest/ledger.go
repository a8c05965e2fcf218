package transporttest

import (
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// ledger checks that the requests of one send queue end as they must: each
// signaled one exactly once, in the order of posting; an unsignaled one not at
// all, unless it failed; after the first failure every one, as flushed. The
// requests' IDs are 1, 2, 3, ...
type ledger struct {
	depth       int
	signaled    []bool // of the latest requests, by ID modulo the length
	posted      uint64
	ended       uint64 // all requests up to this one have
	outstanding int    // signaled ones that have not
	failure     transport.Completion
	flushed     int
}

// newLedger makes a ledger for a queue of the given depth. There may be more
// unsignaled requests, and under a decorator that delays completions a few more
// signaled ones, than that.
func newLedger(depth int) *ledger {
	const leeway = 8
	return &ledger{depth: depth, signaled: make([]bool, leeway*depth+1)}
}

// next is the ID of the next request to be posted.
func (l *ledger) next() uint64 { return l.posted + 1 }

// post enters the next request.
func (l *ledger) post(signaled bool) {
	l.posted++
	l.signaled[l.posted%uint64(len(l.signaled))] = signaled
	if signaled {
		l.outstanding++
	}
}

// failed reports whether a request has.
func (l *ledger) failed() bool { return l.failure.Status != transport.StatusOK }

// settled reports whether no completion is to be expected any more.
func (l *ledger) settled() bool {
	if l.failed() {
		return l.ended == l.posted
	}
	return l.outstanding == 0
}

// poll polls the send queue, enters what completed, and returns how much that was.
func (l *ledger) poll(q *transport.Queue, room []transport.Completion) int {
	n := must(q.Poll(room))
	for _, c := range room[:n] {
		check(l.complete(c))
	}
	return n
}

// complete enters a completion.
func (l *ledger) complete(c transport.Completion) error {
	if l.posted-l.ended >= uint64(len(l.signaled)) {
		return fmt.Errorf("%w: %d requests are outstanding in a queue of depth %d", errUnexpected, l.posted-l.ended, l.depth)
	}
	if c.ID <= l.ended || c.ID > l.posted {
		return fmt.Errorf("%w: a completion of request %d, when up to %d had ended and %d were posted: %+v", errUnexpected, c.ID, l.ended, l.posted, c)
	}
	for id := l.ended + 1; id < c.ID; id++ {
		switch {
		case l.failed():
			return fmt.Errorf("%w: request %d was not completed as flushed after request %d had failed with %q", errUnexpected, id, l.failure.ID, l.failure.Status)
		case l.isSignaled(id):
			return fmt.Errorf("%w: request %d completed before request %d, which is signaled", errUnexpected, c.ID, id)
		}
	}
	switch {
	case l.failed() && c.Status != transport.StatusFlushed:
		return fmt.Errorf("%w: request %d ended as %q after request %d had failed with %q", errUnexpected, c.ID, c.Status, l.failure.ID, l.failure.Status)
	case c.Status == transport.StatusOK && !l.isSignaled(c.ID):
		return fmt.Errorf("%w: request %d went well, is not signaled, and completed", errUnexpected, c.ID)
	}
	if l.isSignaled(c.ID) {
		l.outstanding--
	}
	l.ended = c.ID
	if c.Status != transport.StatusOK {
		if !l.failed() {
			l.failure = c
		}
		l.flushed++
	}
	return nil
}

func (l *ledger) isSignaled(id uint64) bool { return l.signaled[id%uint64(len(l.signaled))] }
