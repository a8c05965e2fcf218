package alloc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// firstPatience is how long a request waits for an agent to be connected,
	firstPatience = 5 * time.Second
	// othersPatience for further ones.
	othersPatience = 200 * time.Millisecond
)

// await waits until there is an agent to ask and the others of Config.Agents were tried,
// for a limited time.
func (c *Client) await(ctx context.Context) {
	if c.noneToAwait() {
		return
	}
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

// noneToAwait says that there is nothing to wait for.
func (c *Client) noneToAwait() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.view != nil {
		return len(c.nodes) > 0
	}
	for _, n := range c.nodes {
		if !isClosed(n.tried) {
			return false
		}
	}
	return true
}

// noNode is why there is no node to ask.
func (c *Client) noNode(o *Order) error {
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
		return c.noNode(o)
	}
	var reasons []error
	for _, n := range all {
		n.mu.Lock()
		switch {
		case n.link == nil:
			reasons = append(reasons, fmt.Errorf("alloc: the agent at %s: %w", n.address, n.failure))
		case len(n.answers) > 0:
			reasons = append(reasons, fmt.Errorf("alloc: node %s was asked and has not answered yet", n.name()))
		}
		n.mu.Unlock()
	}
	if len(reasons) == 0 {
		return errors.New("alloc: agents are being asked")
	}
	return errors.Join(reasons...)
}
