package agent

import (
	"context"
	"time"

	"github.com/rfaas-go/rfaas/alloc/manager"
)

// pace bounds how often a manager is told of what has changed.
const pace = 100 * time.Millisecond

// Register keeps the node registered with a manager until the context ends. about is what
// the agent itself does not know: addresses, labels, version, Admin.
func (a *Agent) Register(ctx context.Context, m *manager.Client, about manager.Node) error {
	changed := make(chan struct{}, 1)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-a.changed:
			case <-done:
				return
			}
			select {
			case changed <- struct{}{}:
			default:
			}
			select {
			case <-time.After(pace):
			case <-done:
				return
			}
		}
	}()
	return m.Keep(ctx, func() manager.Node { return a.describe(about) }, changed)
}

// describe completes what is told of the node.
func (a *Agent) describe(n manager.Node) manager.Node {
	a.mu.Lock()
	defer a.mu.Unlock()
	free := a.node.Free()
	n.ID, n.Epoch, n.Draining = a.cfg.Name, a.cfg.Epoch, a.node.Draining()
	n.Cores, n.FreeCores, n.MemoryBytes, n.FreeBytes = len(a.cfg.Cores), free.Cores, a.cfg.MemoryBytes, free.MemoryBytes
	return n
}
