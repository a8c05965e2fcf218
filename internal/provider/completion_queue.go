package provider

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// CompletionQueue is a ring of completions, with its sleeper. One goroutine at a time
// pushes, the program polls. The front guarantees that the ring never overflows.
type CompletionQueue struct {
	Sleeper
	entries Ring[Completion]
	closed  bool // by the goroutine that pushes

	_    [64]byte
	tail atomic.Uint32 // pushed
	_    [64]byte
	head uint32 // popped
	_    [64]byte
}

// Completion is a completion with the holds and credits that polling it releases.
type Completion struct {
	transport.Completion
	Holds   *Holds   // of the queue pair
	Credits *Credits // of the queue that the request was posted to
	Freed   uint32   // credits to give back there
}

// NewCompletionQueue makes a queue for depth completions.
func NewCompletionQueue(depth uint32) CompletionQueue {
	return CompletionQueue{Sleeper: NewSleeper(), entries: NewRing[Completion](depth)}
}

// Push adds a completion and wakes the sleeper. It holds the queue pair until the
// completion is polled; in a closed queue it is dropped.
func (c *CompletionQueue) Push(e Completion, solicited bool) {
	e.Holds.Hold()
	if c.closed {
		e.polled()
		return
	}
	tail := c.tail.Load()
	*c.entries.At(tail) = e
	c.tail.Store(tail + 1) // a full barrier, as Notify needs it
	c.Notify(solicited || e.Status != transport.StatusOK)
}

// Pop moves completions into dst, and returns how many.
func (c *CompletionQueue) Pop(dst []transport.Completion) (n int) {
	for tail := c.tail.Load(); n < len(dst) && c.head != tail; n++ {
		place := c.entries.At(c.head)
		e := *place
		place.Holds, place.Credits = nil, nil
		c.head++
		dst[n] = e.Completion
		e.polled() // from here on its entry may be reused
	}
	return n
}

// polled releases what the completion held.
func (e *Completion) polled() {
	e.Credits.Give(e.Freed)
	e.Holds.Release()
}

// Arm implements transport.CQ.
func (c *CompletionQueue) Arm(solicitedOnly bool) (ready bool, err error) {
	c.Sleeper.Arm(solicitedOnly)
	return c.tail.Load() != c.head, nil
}

// Close drops what is in the queue, and what is pushed later, and ends all waits.
// The caller ensures that no poll follows, and no push runs meanwhile.
func (c *CompletionQueue) Close() {
	c.closed = true
	var dropped [1]transport.Completion
	for c.Pop(dropped[:]) > 0 {
	}
	c.End()
}
