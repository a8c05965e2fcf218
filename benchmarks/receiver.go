package benchmarks

import (
	"context"

	"github.com/rfaas-go/rfaas/transport"
)

// receiver takes messages one at a time, into a ring of prepared receives.
type receiver struct {
	*end
	ring        []transport.WorkRequest
	missing     int // receives that completed and were not posted again
	at          int // the first of them
	completions []transport.Completion
}

// newReceiver prepares a ring and posts all of it: request makes the receive of
// each slot.
func newReceiver(e *end, length int, request func(slot int) transport.WorkRequest) (*receiver, error) {
	r := &receiver{end: e, completions: make([]transport.Completion, 1)}
	for slot := range length {
		r.ring = append(r.ring, request(slot))
	}
	_, err := e.conn.PostRecv(r.ring...)
	return r, err
}

// next waits for a message and returns its completion, valid until the next
// call. Its slot is Completion.ID.
func (r *receiver) next(ctx context.Context) (*transport.Completion, error) {
	if _, err := r.receives.Wait(ctx, r.completions, r.spin); err != nil {
		return nil, err
	}
	c := &r.completions[0]
	if c.Status != transport.StatusOK {
		return nil, r.failed(c)
	}
	r.missing++
	return c, nil
}

// restock posts the receives that were taken again. It is for the time in which
// a message is under way.
func (r *receiver) restock() error {
	for ; r.missing > 0; r.missing-- {
		if _, err := r.conn.PostRecv(r.ring[r.at]); err != nil {
			return err
		}
		if r.at++; r.at == len(r.ring) {
			r.at = 0
		}
	}
	return nil
}
