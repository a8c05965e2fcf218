package alloc

import (
	"strings"
	"sync"
	"time"
)

const (
	// firstWarning is after how long a wait for workers is logged. The pauses
	// between further lines double, up to mostSilence.
	firstWarning = 5 * time.Second
	mostSilence  = 5 * time.Minute
	// waitGap separates waits: one that begins later than that after an unsuccessful one is
	// new. It is longer than the usual pauses between the dials of a lane.
	waitGap = 10 * time.Second
	// maxReasonBytes bounds the reason in a line of the log.
	maxReasonBytes = 500
)

// waits tells the log of workers that a pool has waited for too long: for all of its lanes
// together, one line at a time.
type waits struct {
	pool *Pool

	mu      sync.Mutex
	workers int // that are waited for
	begun   time.Time
	pause   time.Duration // before the next line
	due     time.Time     // of the next line
	left    time.Time     // when the last unsuccessful wait ended
	timer   *time.Timer
	reason  error // of the last refusals; nil before the first
}

// begin says that workers are waited for from now on.
func (w *waits) begin(workers int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.workers += workers; w.workers > workers {
		return // the timer runs
	}
	if w.left.IsZero() || now.Sub(w.left) > waitGap {
		w.begun, w.pause, w.due, w.reason = now, firstWarning, now.Add(firstWarning), nil
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(w.due.Sub(now), w.tell)
	} else {
		w.timer.Reset(w.due.Sub(now))
	}
}

// refused notes why there are no workers yet.
func (w *waits) refused(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reason = why
}

// end says that workers are not waited for any more. got: some were leased.
func (w *waits) end(workers int, got bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.workers -= workers
	now := time.Now()
	switch {
	case !got:
		w.left = now
	default:
		w.left, w.begun, w.pause, w.due = time.Time{}, now, firstWarning, now.Add(firstWarning)
	}
	if w.workers == 0 {
		w.timer.Stop()
	}
}

// tell writes a line.
func (w *waits) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.workers == 0 || time.Now().Before(w.due) { // a wait has ended since it was set
		if w.workers > 0 {
			w.timer.Reset(time.Until(w.due))
		}
		return
	}
	why := w.reason
	if why == nil {
		why = w.pool.owner.silence(&w.pool.order)
	}
	w.pool.owner.log.Warn("still waiting for workers", "workers", w.workers, "since", time.Since(w.begun).Round(time.Millisecond).String(), "reason", brief(why))
	w.pause = min(2*w.pause, mostSilence)
	w.due = time.Now().Add(w.pause)
	w.timer.Reset(w.pause)
}

// brief is an error on one line of bounded length.
func brief(err error) string {
	s := strings.ReplaceAll(err.Error(), "\n", "; ")
	if len(s) > maxReasonBytes {
		s = strings.ToValidUTF8(s[:maxReasonBytes], "") + "..."
	}
	return s
}
