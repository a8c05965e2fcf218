package transport

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Queue is a completion queue. Any number of connections may complete into one,
// as long as their depths add up to no more than its own: a queue cannot
// overflow.
type Queue struct {
	dev   *Device
	cq    CQ
	depth uint32

	_       [64]byte // what follows is written on every poll
	owner   Owner
	waiting atomic.Bool
	_       [64]byte

	mu       sync.Mutex
	reserved uint32

	closing sync.Once
}

// How long Queue.Wait polls before it sleeps.
const (
	// Hot never sleeps: lowest latency, one core busy.
	Hot = time.Duration(math.MaxInt64)
	// Warm sleeps at once: no CPU while idle, a wake-up for each wait.
	Warm = time.Duration(0)
)

// spinsPerLook is how often a waiting queue polls between two looks at the
// clock and the context, a few microseconds.
const spinsPerLook = 256

// NewQueue makes a completion queue for depth completions: at least the sum of
// the depths of what will complete into it.
func (d *Device) NewQueue(depth int) (*Queue, error) {
	op := fmt.Sprintf("new queue of depth %d", depth)
	if depth <= 0 || uint64(depth) > uint64(d.caps.MaxQueueDepth) {
		return nil, d.opError(op, ScopeRequest, fmt.Errorf("%w: depth must be 1 to %d", ErrOutOfRange, d.caps.MaxQueueDepth))
	}
	if err := d.begin(); err != nil {
		return nil, d.opError(op, ScopeDevice, err)
	}
	defer d.end()
	q := &Queue{dev: d, depth: uint32(depth)}
	cq, err := d.adapter.NewCQ(CQConfig{Depth: q.depth, Owner: &q.owner})
	if err != nil {
		return nil, d.opError(op, ScopeRequest, err)
	}
	q.cq = cq
	d.track(q)
	return q, nil
}

// Poll stores completions into dst and returns how many, 0 if there are none.
// It never blocks. One goroutine at a time polls; another gets
// ErrConcurrentUse. After Close it returns ErrClosed.
func (q *Queue) Poll(dst []Completion) (int, error) { return q.poll(dst, 0) }

func (q *Queue) poll(dst []Completion, spins int) (int, error) {
	if !q.owner.try() {
		if err := q.owner.acquireSlow(); err != nil {
			return 0, err
		}
	}
	n, err := q.cq.Poll(dst, spins)
	q.owner.Release()
	return n, err
}

// Wait stores completions into dst, of which there is room for at least one,
// and returns how many: at least one unless there is an error. It polls for the
// duration spin and then sleeps until there is something; Hot never sleeps,
// Warm sleeps at once. It fails with the context's error when that ends first;
// this changes nothing about the outstanding requests and their memory. Hot
// keeps its processor to itself: with fewer processors than hot pollers, use a
// bounded spin.
func (q *Queue) Wait(ctx context.Context, dst []Completion, spin time.Duration) (int, error) {
	return q.wait(ctx, dst, spin, false)
}

// WaitSolicited is Wait, but once asleep only a Solicited message or a failure
// wakes it.
func (q *Queue) WaitSolicited(ctx context.Context, dst []Completion, spin time.Duration) (int, error) {
	return q.wait(ctx, dst, spin, true)
}

func (q *Queue) wait(ctx context.Context, dst []Completion, spin time.Duration, solicitedOnly bool) (int, error) {
	if len(dst) == 0 {
		return 0, q.dev.opError("wait", ScopeRequest, fmt.Errorf("%w: no room for a completion", ErrInvalid))
	}
	if spin > 0 {
		if n, err := q.spin(ctx, dst, spin); n > 0 || err != nil {
			return n, err
		}
	}
	if !q.waiting.CompareAndSwap(false, true) {
		return 0, ErrConcurrentUse
	}
	defer q.waiting.Store(false)
	for {
		ready, err := q.arm(solicitedOnly)
		if err != nil {
			return 0, err
		}
		if n, err := q.poll(dst, 0); n > 0 || err != nil { // look again
			return n, err
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if !ready {
			if err := q.cq.Wait(ctx); err != nil {
				return 0, err
			}
		}
	}
}

func (q *Queue) spin(ctx context.Context, dst []Completion, spin time.Duration) (int, error) {
	var deadline time.Time
	for {
		if n, err := q.poll(dst, spinsPerLook); n > 0 || err != nil {
			return n, err
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		switch {
		case spin == Hot:
		case deadline.IsZero():
			deadline = time.Now().Add(spin)
		case time.Now().After(deadline):
			return 0, nil
		}
	}
}

func (q *Queue) arm(solicitedOnly bool) (bool, error) {
	if err := q.owner.Acquire(); err != nil {
		return false, err
	}
	ready, err := q.cq.Arm(solicitedOnly)
	q.owner.Release()
	return ready, err
}

// Depth is the number of completions that the queue can hold.
func (q *Queue) Depth() int { return int(q.depth) }

// Close closes the queue; a Wait under way returns ErrClosed. Connections that
// complete into it have to be closed before; their completions are dropped.
func (q *Queue) Close() (err error) {
	q.closing.Do(func() {
		q.owner.Retire()
		err = q.cq.Close()
		q.dev.untrack(q)
	})
	return err
}

// reserve sets completions of the queue aside for a connection or a shared
// receive queue.
func (q *Queue) reserve(n uint32) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n > q.depth-q.reserved {
		return fmt.Errorf("%w: the completion queue is too small: depth %d, %d reserved by its connections, %d more needed (send depth plus receive depth)",
			ErrOutOfRange, q.depth, q.reserved, n)
	}
	q.reserved += n
	return nil
}

func (q *Queue) unreserve(n uint32) {
	q.mu.Lock()
	q.reserved -= n
	q.mu.Unlock()
}

func (q *Queue) describe() string { return fmt.Sprintf("queue of depth %d", q.depth) }
func (q *Queue) closeRank() int   { return rankQueue }
