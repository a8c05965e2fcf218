package benchmarks

import (
	"context"

	"github.com/rfaas-go/rfaas/transport"
)

// pipeline keeps up to depth requests outstanding, posted in batches of which
// the last one is signaled. The buffers go round.
type pipeline struct {
	*end
	ring        []transport.WorkRequest // whole batches
	batch, at   int
	outstanding int
	completions []transport.Completion
}

// batches divides a depth into a few batches of one length.
func batches(depth int) (batch, total int) {
	batch = max(depth/4, 1)
	return batch, depth / batch * batch
}

// bulkSlots are the buffers that a bandwidth test goes round.
func bulkSlots(size, depth int) slots {
	_, total := batches(depth)
	return newSlots(size, total)
}

// newPipeline prepares the ring: request makes the one for each slot.
func newPipeline(e *end, depth int, request func(slot int) transport.WorkRequest) *pipeline {
	batch, total := batches(depth)
	p := &pipeline{end: e, batch: batch, completions: make([]transport.Completion, 8)}
	for slot := range total {
		wr := request(slot)
		if (slot+1)%p.batch == 0 {
			wr = wr.With(transport.Signaled)
		}
		p.ring = append(p.ring, wr)
	}
	return p
}

// post posts up to n requests, no more than the rest of a batch, when they fit,
// and returns how many.
func (p *pipeline) post(ctx context.Context, n int) (int, error) {
	n = min(n, p.batch-p.at%p.batch)
	for p.outstanding+n > len(p.ring) {
		if err := p.wait(ctx); err != nil {
			return 0, err
		}
	}
	posted, err := p.conn.Post(p.ring[p.at : p.at+n]...)
	p.outstanding += posted
	p.at = (p.at + posted) % len(p.ring)
	if err == transport.ErrQueueFull {
		return posted, p.wait(ctx)
	}
	return posted, err
}

// wait waits for a batch to be finished.
func (p *pipeline) wait(ctx context.Context) error {
	n, err := p.sends.Wait(ctx, p.completions, p.spin)
	if err != nil {
		return err
	}
	for i := range p.completions[:n] {
		c := &p.completions[i]
		if c.Status != transport.StatusOK {
			return p.failed(c)
		}
		p.outstanding -= p.batch
	}
	return nil
}

// drained forgets what is outstanding, after something posted later has
// completed.
func (p *pipeline) drained() { p.outstanding, p.at = 0, 0 }
