package softroce

import (
	"context"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// completionQueue is a completion queue. Pushing takes the engine lock.
type completionQueue struct {
	engine *engine
	provider.CompletionQueue
}

// NewCQ implements transport.Adapter.
func (a *Adapter) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	a.open.Opened("completion queue")
	return &completionQueue{engine: a.engine, CompletionQueue: provider.NewCompletionQueue(cfg.Depth)}, nil
}

// Poll implements transport.CQ. An empty queue makes the caller drive the engine.
func (c *completionQueue) Poll(dst []transport.Completion, spins int) (int, error) {
	for {
		if n := c.Pop(dst); n > 0 || len(dst) == 0 {
			return n, nil
		}
		if spins < 0 {
			return 0, nil
		}
		spins--
		c.engine.poll()
	}
}

// Wait implements transport.CQ.
func (c *completionQueue) Wait(ctx context.Context) error {
	c.engine.background.attend()
	defer c.engine.background.dismiss()
	return c.CompletionQueue.Wait(ctx)
}

// Close implements transport.CQ.
func (c *completionQueue) Close() error {
	c.engine.Lock()
	c.CompletionQueue.Close()
	c.engine.Unlock()
	c.engine.adapter.open.Closed("completion queue")
	return nil
}
