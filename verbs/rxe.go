package verbs

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// Peculiarities of the kernel's software RoCE.

// rxeVendor is the vendor identifier of rxe: no vendor.
const rxeVendor = 0xffffff

func (a *Adapter) isRXE() bool { return a.attr.VendorID == rxeVendor }

// watchInterval is how often connections are checked while a program sleeps for
// solicited completions.
const watchInterval = 100 * time.Millisecond

// solicitedWatch wakes a program that sleeps for solicited or failed completions
// when a connection has failed: rxe does not (Linux 6.1: rxe_completer posts
// failures to the completion queue as not solicited). So the connections are
// checked now and then during the sleep.
type solicitedWatch struct {
	queue  *completionQueue
	asleep atomic.Bool
	timer  *time.Timer
}

func newSolicitedWatch(c *completionQueue) *solicitedWatch {
	w := &solicitedWatch{queue: c}
	w.timer = time.AfterFunc(watchInterval, w.look)
	return w
}

// begin and end surround a sleep.
func (w *solicitedWatch) begin() {
	w.asleep.Store(true)
	w.timer.Reset(watchInterval)
}

func (w *solicitedWatch) end() {
	w.asleep.Store(false)
	w.timer.Stop()
}

func (w *solicitedWatch) look() {
	if !w.asleep.Load() {
		return
	}
	c := w.queue
	for _, q := range c.adapter.pairs.All() {
		if (q.sendCQ == c || q.recvCQ == c) && q.hasFailed() {
			c.nudge()
			return
		}
	}
	w.timer.Reset(watchInterval) // once too often if the sleep ends now
}

// hasFailed reports whether the device has taken the queue pair to the error state
// and it was not noticed yet.
func (q *queuePair) hasFailed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.destroyed || q.dead.Load() {
		return false
	}
	state, err := q.qp.Query()
	return err != nil || state.State == ibv.StateError
}

// ring makes rxe look at the send queue. Its requester can stop for good while there
// is something to send, with no acknowledgement or timer outstanding that would start
// it again: it decides to wait (for requests before a fence, for acknowledgements, for
// packets to leave), and the event happens just before it sets the flag (Linux 6.1:
// rxe_req.c sets wait_fence, wait_psn and need_req_skb after its check, and the other
// side reads them once).
func (q *queuePair) ring() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.destroyed || q.dead.Load() {
		return
	}
	if err := q.qp.Ring(); err != nil {
		slog.Debug("verbs: cannot wake rxe", "err", err)
	}
}
