package agent

import (
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
)

// lingering is memory of ended leases that is in use still: see lease.Node.Lingering.
type lingering struct {
	mu    sync.Mutex // held from when it is read until the node knows it
	bytes int64
}

// countLingering tells the node how much there is: when a lease has ended, and from then on
// as long as there is some.
func (a *Agent) countLingering(ended bool) {
	a.lingering.mu.Lock()
	defer a.lingering.mu.Unlock()
	a.mu.Lock()
	s := a.supervisors[true] // others have no groups in which the kernel counts
	a.mu.Unlock()
	if s == nil || !ended && a.lingering.bytes == 0 {
		return
	}
	bytes, err := s.Lingering()
	if err != nil {
		a.log.Warn("it is not known how much memory of ended leases is in use still; it counts as before", "bytes", a.lingering.bytes, "reason", err)
		return
	}
	if bytes == a.lingering.bytes {
		return
	}
	a.lingering.bytes = bytes
	a.log.Debug("memory of ended leases is in use still", "bytes", bytes)
	a.with(func(n *lease.Node, _ time.Duration) { n.Lingering(bytes) })
}
