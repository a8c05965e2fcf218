package loopback

import (
	"context"
	"runtime"
	"sync"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// completionQueue is a completion queue.
type completionQueue struct {
	adapter *adapter
	mu      sync.Mutex // held to push: several connections can complete into it
	queue   provider.CompletionQueue
}

func (a *adapter) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	a.open.Opened("completion queue")
	return &completionQueue{adapter: a, queue: provider.NewCompletionQueue(cfg.Depth)}, nil
}

// push adds a completion and wakes the sleeper, if any.
func (c *completionQueue) push(e provider.Completion, solicited bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.Push(e, solicited)
}

func (c *completionQueue) Poll(dst []transport.Completion, spins int) (int, error) {
	for {
		if n := c.queue.Pop(dst); n > 0 || spins <= 0 {
			return n, nil
		}
		spins--
		runtime.Gosched() // the peer is a goroutine here, and may need this processor
	}
}

func (c *completionQueue) Arm(solicitedOnly bool) (ready bool, err error) {
	return c.queue.Arm(solicitedOnly)
}

func (c *completionQueue) Wait(ctx context.Context) error { return c.queue.Wait(ctx) }

func (c *completionQueue) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.Close()
	c.adapter.open.Closed("completion queue")
	return nil
}
