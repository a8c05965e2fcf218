package provider

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/order"
)

// Credits bound the requests outstanding in a queue. The goroutine that posts takes
// one for each request, and the one that polls gives them back.
type Credits struct {
	depth, taken uint32
	_            [64]byte
	given        atomic.Uint32
	_            [64]byte
}

// NewCredits makes as many credits as the queue is deep.
func NewCredits(depth uint32) Credits { return Credits{depth: depth} }

// Take takes n credits, or as many as there are.
func (c *Credits) Take(n int) int {
	n = min(n, int(c.depth-(c.taken-c.given.Load())))
	c.taken += uint32(n)
	return n
}

// Give gives n credits back.
func (c *Credits) Give(n uint32) { order.Publish(&c.given, c.given.Load()+n) }
