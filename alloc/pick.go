package alloc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
)

// acquire leases up to a number of workers, at least one. ours is how many there are of
// the pool by node.
func (c *Client) acquire(ctx context.Context, o *Order, workers int, ours map[*node]int) (*grant, error) {
	const least, most = 2 * time.Millisecond, time.Second
	var refusals error // of the last round that came to an end
	for pause := least; ; pause = min(2*pause, most) {
		g, after, err := c.round(ctx, o, workers, ours)
		if err == nil {
			return g, nil
		}
		if ctx.Err() == nil || refusals == nil {
			refusals = err
		}
		wait := pause
		if after > 0 {
			wait = min(max(after, least), pause)
		}
		if refused := (*lease.RefusedError)(nil); errors.As(err, &refused) && after < 0 {
			return nil, err // it is no use
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
	for _, n := range c.inOrder(ctx, o, ours) {
		want := workers
		n.mu.Lock()
		if o.Cores > 0 && n.free.Cores/o.Cores > 0 {
			want = min(want, n.free.Cores/o.Cores)
		}
		if !o.Pack && len(c.nodes) > 1 {
			want = min(want, (workers+len(c.nodes)-1)/len(c.nodes))
		}
		n.mu.Unlock()
		g, err := n.ask(ctx, o, want)
		refused := (*lease.RefusedError)(nil)
		if errors.As(err, &refused) && refused.Reason == lease.NoCores && refused.Free.Cores >= o.Cores && refused.Free.Cores/o.Cores < want {
			g, err = n.ask(ctx, o, refused.Free.Cores/o.Cores)
		}
		if err == nil {
			return g, 0, nil
		}
		if ctx.Err() != nil {
			return nil, 0, err
		}
		errs = append(errs, err)
		if !errors.As(err, &refused) || refused.Reason.Passing() {
			after = 0
		}
	}
	return nil, after, errors.Join(errs...)
}

// inOrder is in which order nodes are asked: the better one of two, then the others. It
// waits for the first one to be there.
func (c *Client) inOrder(ctx context.Context, o *Order, ours map[*node]int) []*node {
	c.await(ctx)
	all := make([]*node, 0, len(c.nodes))
	for _, i := range rand.Perm(len(c.nodes)) {
		all = append(all, c.nodes[i])
	}
	if len(all) > 1 && o.better(all[1], all[0], ours) {
		all[0], all[1] = all[1], all[0]
	}
	return all
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

// room is how many cores the node is said to have free, -1 if it cannot be asked.
func (n *node) room() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.link == nil || n.draining {
		return -1
	}
	return n.free.Cores
}

const (
	// firstPatience is how long a request waits for an agent to be connected,
	firstPatience = 5 * time.Second
	// othersPatience for further ones.
	othersPatience = 200 * time.Millisecond
)

// await waits until an agent is connected and the others were tried, not for ever.
func (c *Client) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstPatience)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	up := make(chan struct{}, len(c.nodes))
	for _, n := range c.nodes {
		n.mu.Lock()
		now := n.up
		n.mu.Unlock()
		if isClosed(now) {
			up <- struct{}{}
			continue
		}
		go func() {
			select {
			case <-now:
				up <- struct{}{}
			case <-ctx.Done():
			}
		}()
	}
	select {
	case <-up:
	case <-ctx.Done():
		return
	}
	others := time.NewTimer(othersPatience)
	defer others.Stop()
	for _, n := range c.nodes {
		select {
		case <-n.tried:
		case <-others.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
