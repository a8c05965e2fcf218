package verbs

import (
	"context"
	"errors"
	"time"

	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// What the kernel's software RoCE does unlike other devices.

// rxeVendor is the vendor identifier of rxe: no vendor.
const rxeVendor = 0xffffff

func (a *Adapter) isRXE() bool { return a.attr.VendorID == rxeVendor }

// watchInterval is how often connections are looked at by who sleeps for solicited
// completions.
const watchInterval = 100 * time.Millisecond

// waitWatching is Wait for solicited or failed completions on rxe, which does not
// wake a sleeper when a request fails (Linux 6.1: rxe_completer posts failures to
// the completion queue as not solicited). So the sleeper looks, now and then,
// whether one of its connections has failed.
func (c *completionQueue) waitWatching(ctx context.Context) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, watchInterval)
		err := c.channel.Wait(bounded)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		for _, q := range c.adapter.pairs.All() {
			if (q.sendCQ == c || q.recvCQ == c) && q.hasFailed() {
				return nil
			}
		}
	}
}

// hasFailed reports whether the device has taken the queue pair to the error state
// and nobody has noticed yet.
func (q *queuePair) hasFailed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.destroyed || q.dead.Load() {
		return false
	}
	state, err := q.qp.Query()
	return err != nil || state.State == ibv.StateError
}
