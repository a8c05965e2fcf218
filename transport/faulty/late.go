package faulty

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/internal/slowlink"
	"github.com/rfaas-go/rfaas/transport"
)

// late is when the completions of a queue pair are due.
type late struct {
	mu      sync.Mutex    // requests are posted and completions polled at the same time
	out, in slowlink.Link // what this end's requests, and the peer's messages, cross
	back    slowlink.Link // what the answers to this end's requests cross

	posts posts
	held  atomic.Int64 // completions
	// failed: depth and order of what is posted no longer matter.
	failed atomic.Bool
}

// posts is a ring of the requests that were posted and whose completion the program
// does not have.
type posts struct {
	ring     []post
	tail     atomic.Uint32 // posted
	done     uint32        // completed; for the goroutine that polls
	released atomic.Uint32 // of which the program knows
}

type post struct {
	due      time.Duration
	signaled bool
}

func (l *late) init(a *adapter, cfg *transport.QPConfig) {
	of := func(k kind) slowlink.Link { return slowlink.New(a.cfg.link(), a.cfg.Seed, k.stream(cfg.Conn)) }
	l.out, l.in, l.back = of(kindOut), of(kindIn), of(kindBack)
	l.posts.ring = make([]post, cfg.SendDepth)
}

// received is when a message of the peer's is due that is seen now.
func (l *late) received(now time.Duration, bytes int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.in.Arrive(l.in.Leave(now, bytes))
}

// answered is when the answer to a request is due that is posted now.
func (l *late) answered(now time.Duration, wr *transport.WorkRequest) time.Duration {
	there, back := int(wr.Bytes()), 0
	if wr.Op == transport.OpRead || wr.Op == transport.OpFetchAdd || wr.Op == transport.OpCompareSwap {
		there, back = 0, there
	}
	return l.back.Arrive(l.back.Leave(l.out.Arrive(l.out.Leave(now, there)), back))
}

// postLate posts requests, no more than the send depth before the program has their
// completions: the provider regards those that are held back as polled.
func (q *queuePair) postLate(wrs []transport.WorkRequest) (int, error) {
	l, p := &q.late, &q.late.posts
	if l.failed.Load() {
		return q.QP.PostSend(wrs)
	}
	tail := p.tail.Load()
	room := uint32(len(p.ring)) - (tail - p.released.Load())
	n := min(len(wrs), int(room))
	if n == 0 && len(wrs) > 0 {
		return 0, transport.ErrQueueFull
	}
	now := q.adapter.now()
	l.mu.Lock()
	for i := range wrs[:n] {
		*p.at(tail + uint32(i)) = post{l.answered(now, &wrs[i]), wrs[i].Flags&transport.Signaled != 0}
	}
	l.mu.Unlock()
	p.tail.Store(tail + uint32(n)) // before they can complete
	taken, err := q.QP.PostSend(wrs[:n])
	p.tail.Store(tail + uint32(taken))
	if err == nil && taken < len(wrs) {
		err = transport.ErrQueueFull
	}
	return taken, err
}

func (p *posts) at(i uint32) *post { return &p.ring[i%uint32(len(p.ring))] }

// done is when the next signaled request is due, which has succeeded, and how many
// requests are done with it.
func (l *late) done() (due time.Duration, posts uint32) {
	p := &l.posts
	for tail := p.tail.Load(); p.done != tail; {
		next := p.at(p.done)
		p.done++
		if next.signaled {
			return next.due, p.done
		}
	}
	return 0, p.done
}

// released notes that the program knows of requests up to these.
func (l *late) released(posts uint32) { l.posts.released.Store(posts) }

// drainedLate is called when the provider has no more completions of the queue pair.
// Some may still be held here.
func (a *adapter) drainedLate(q *queuePair) {
	a.draining.Lock()
	a.draining.queuePairs = append(a.draining.queuePairs, q)
	a.draining.count.Add(1)
	a.draining.Unlock()
	a.finishDrained()
}

// finishDrained tells the front of queue pairs of which no completion is left.
func (a *adapter) finishDrained() {
	if a.draining.count.Load() == 0 {
		return
	}
	a.draining.Lock()
	var done []*queuePair
	kept := a.draining.queuePairs[:0]
	for _, q := range a.draining.queuePairs {
		if q.late.held.Load() > 0 || q.sendQueue.pulling.Load() || q.recvQueue.pulling.Load() || q.late.held.Load() > 0 {
			kept = append(kept, q)
		} else {
			done = append(done, q)
		}
	}
	clear(a.draining.queuePairs[len(kept):])
	a.draining.queuePairs = kept
	a.draining.count.Store(int64(len(kept)))
	a.draining.Unlock()
	for _, q := range done {
		q.drained()
	}
}
