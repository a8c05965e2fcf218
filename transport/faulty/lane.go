package faulty

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// lane decides about the requests posted to one queue: a send, receive or
// shared receive queue. Its events are the requests, numbered as they are taken.
// One goroutine at a time posts.
type lane struct {
	take         func(wrs []transport.WorkRequest) (int, error) // the provider's
	signaledOnly bool                                           // only Signaled requests complete
	posted       uint64                                         // requests taken so far

	full       schedule
	disconnect schedule
	status     schedule
	refused    *atomic.Uint64 // counts what full did

	// pending is the number of requests that will complete and did not yet. The
	// polling goroutine decrements it, perhaps before the posting one increments it.
	pending atomic.Int64
}

// unhit is a schedule that hits nothing.
var unhit = schedule{at: never}

// advance hands requests on up to the first one that is hit, and returns how
// many were taken.
func (l *lane) advance(wrs []transport.WorkRequest) (int, error) {
	clean := min(uint64(len(wrs)), l.full.at-l.posted, l.disconnect.at-l.posted, l.status.at-l.posted)
	if clean == 0 {
		return 0, nil
	}
	return l.forward(wrs[:clean])
}

// forward hands requests on.
func (l *lane) forward(wrs []transport.WorkRequest) (int, error) {
	n, err := l.take(wrs)
	l.posted += uint64(n)
	completing := n
	if l.signaledOnly {
		for i := range wrs[:n] {
			if wrs[i].Flags&transport.Signaled == 0 {
				completing--
			}
		}
	}
	l.pending.Add(int64(completing))
	return n, err
}

// refuses reports whether the next request is refused for now.
func (l *lane) refuses() bool {
	if !l.full.hits(l.posted) || l.pending.Load() <= 0 {
		return false
	}
	l.refused.Add(1)
	return true
}
