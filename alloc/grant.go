package alloc

import (
	"context"
	"sync"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/alloc/lease"
)

// grant is a lease that is held.
type grant struct {
	node    *node
	id      lease.ID
	secret  lease.Secret
	workers int
	leaving chan struct{} // closed: use it no more
	ended   chan struct{} // closed: the agent has ended it, or cannot say so any more

	usage   accounting.Usage // what it has cost, when it has ended
	claimed bool             // its counts are what its own code says

	mu     sync.Mutex
	losses map[lost]lease.Event
	news   chan struct{} // closed when there is a loss

	users int // workers that lanes have, or have not had yet; of the pool's lock
}

// lost names a process of a worker.
type lost struct {
	worker  int
	attempt uint32
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// lost notes how a process of a worker ended.
func (g *grant) lost(e *lease.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.losses[lost{e.Worker, e.Number}] = *e
	close(g.news)
	g.news = make(chan struct{})
}

// fate is how the process of an attempt ended; ok is false if it is not known when the
// context ends.
func (g *grant) fate(ctx context.Context, worker int, attempt uint32) (e lease.Event, ok bool) {
	for {
		g.mu.Lock()
		e, ok = g.losses[lost{worker, attempt}]
		delete(g.losses, lost{worker, attempt})
		news := g.news
		g.mu.Unlock()
		if ok {
			return e, true
		}
		select {
		case <-news:
		case <-ctx.Done():
			return e, false
		}
	}
}

// giveBack returns the lease.
func (g *grant) giveBack() {
	n := g.node
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.granted[g.id] == nil {
		return
	}
	delete(n.granted, g.id)
	if !isClosed(g.leaving) {
		close(g.leaving)
	}
	if n.link == nil {
		close(g.ended) // it will expire
	} else {
		n.returned[g.id] = g
	}
	n.state.Return(g.id)
	n.settle()
}
