package alloc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
)

// acquire leases up to a number of workers, at least one. once: each node is asked no more
// than once.
func (p *Pool) acquire(ctx context.Context, workers int, once bool) (g *grant, err error) {
	p.waits.begin(workers)
	defer func() { p.waits.end(workers, err == nil) }()
	const least, most = 2 * time.Millisecond, time.Second
	c, o, ours := p.owner, &p.order, p.nodes()
	var refusals error // of the last round that came to an end
	for pause := least; ; pause = min(2*pause, most) {
		g, after, err := c.round(ctx, o, workers, ours)
		if err == nil {
			return g, nil
		}
		if ctx.Err() == nil || refusals == nil {
			refusals = err
			p.waits.refused(err)
		}
		wait := pause
		if after > 0 {
			wait = min(max(after, least), pause)
		}
		if once || after < 0 { // it is no use
			return nil, err
		}
		select {
		case <-time.After(wait/2 + rand.N(wait/2+1)):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), refusals)
		case <-c.life.Done():
			return nil, ErrClosed
		}
	}
}

// round asks one node after the other. after is when it is worth to ask again: negative
// for never.
func (c *Client) round(ctx context.Context, o *Order, workers int, ours map[*node]int) (g *grant, after time.Duration, err error) {
	var errs []error
	after = -1
	all := c.inOrder(ctx, o, ours)
	if len(all) == 0 {
		return nil, 0, c.nobody(o)
	}
	for _, n := range all {
		want := workers
		n.mu.Lock()
		if o.Cores > 0 && n.free.Cores/o.Cores > 0 {
			want = min(want, n.free.Cores/o.Cores)
		}
		if !o.Pack && len(all) > 1 {
			want = min(want, (workers+len(all)-1)/len(all))
		}
		n.mu.Unlock()
		g, err := n.ask(ctx, o, want)
		if fewer := o.fewer(want, err); fewer > 0 {
			g, err = n.ask(ctx, o, fewer)
		}
		if err == nil {
			return g, 0, nil
		}
		if ctx.Err() != nil {
			return nil, 0, err
		}
		errs = append(errs, err)
		if !lasting(err) {
			after = 0
		}
	}
	return nil, after, errors.Join(errs...)
}

// fewer is for how many workers to ask a node at once that refused some more, 0 for none.
func (o *Order) fewer(refused int, err error) int {
	why := (*lease.RefusedError)(nil)
	switch {
	case !errors.As(err, &why):
		return 0
	case why.Reason == lease.NoCores && why.Free.Cores/o.Cores < refused:
		return why.Free.Cores / o.Cores
	case why.Reason == lease.TooMuch && refused > 1: // one may be had, now or later
		return 1
	}
	return 0
}

// nobody is why there is no node to ask.
func (c *Client) nobody(o *Order) error {
	if c.view != nil {
		if _, why := c.view.Stale(); why != nil {
			return fmt.Errorf("alloc: no nodes are known; the manager at %s: %w", c.cfg.Manager, why)
		}
		if len(o.Labels) > 0 {
			return fmt.Errorf("alloc: no node has the labels %v and gives leases", o.Labels)
		}
		return fmt.Errorf("alloc: the manager at %s knows no node that gives leases over %s", c.cfg.Manager, c.cfg.Device.Name())
	}
	return errors.New("alloc: all nodes are draining")
}

// silence is why a request was not answered yet.
func (c *Client) silence(o *Order) error {
	all := slices.DeleteFunc(c.all(), func(n *node) bool { return !n.suits(o) })
	if len(all) == 0 {
		return c.nobody(o)
	}
	var reasons []error
	for _, n := range all {
		n.mu.Lock()
		if n.link == nil {
			reasons = append(reasons, fmt.Errorf("alloc: the agent at %s: %w", n.address, n.failure))
		} else {
			reasons = append(reasons, fmt.Errorf("alloc: node %s was asked and has not answered yet", n.name()))
		}
		n.mu.Unlock()
	}
	return errors.Join(reasons...)
}

// inOrder is in which order nodes are asked: the better one of two, then the others. It
// waits for the first one to be there.
func (c *Client) inOrder(ctx context.Context, o *Order, ours map[*node]int) []*node {
	c.await(ctx)
	all := slices.DeleteFunc(c.all(), func(n *node) bool { return !n.suits(o) })
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if len(all) > 1 && o.better(all[1], all[0], ours) {
		all[0], all[1] = all[1], all[0]
	}
	return all
}

// suits says whether a node may be asked.
func (n *node) suits(o *Order) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, value := range o.Labels {
		if got, ok := n.labels[name]; !ok || got != value {
			return false
		}
	}
	return !n.away && !n.draining
}

// better says whether a is to be asked before b.
func (o *Order) better(a, b *node, ours map[*node]int) bool {
	roomA, roomB := a.room(), b.room()
	switch {
	case (roomA >= o.Cores) != (roomB >= o.Cores):
		return roomA >= o.Cores
	case ours[a] != ours[b]:
		return ours[a] < ours[b] != o.Pack
	}
	return roomA != roomB && roomA > roomB != o.Pack
}

// room is how many cores the node is said to have free.
func (n *node) room() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.free.Cores
}

const (
	// firstPatience is how long a request waits for an agent to be connected,
	firstPatience = 5 * time.Second
	// othersPatience for further ones.
	othersPatience = 200 * time.Millisecond
)

// await waits until there is an agent to ask and the other ones of Config.Agents were
// tried, not for ever.
func (c *Client) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstPatience)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	if c.view != nil {
		for { // not for the view: what it has is taken a little later
			there, news := c.anyNode()
			if there {
				return
			}
			select {
			case <-news:
			case <-ctx.Done():
				return
			}
		}
	}
	all := c.all()
	tried := make(chan error, len(all))
	for _, n := range all {
		go func() { tried <- n.connected(ctx) }()
	}
	var others <-chan time.Time // until then
	for range all {
		select {
		case err := <-tried:
			if err == nil && others == nil {
				others = time.After(othersPatience)
			}
		case <-others:
			return
		case <-ctx.Done():
			return
		}
	}
}
