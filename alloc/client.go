package alloc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/transport"
)

// Client leases from agents. Any goroutine may call its methods.
type Client struct {
	cfg  Config
	log  *slog.Logger
	view *manager.View // nil without a manager

	life   context.Context
	end    context.CancelFunc
	ending sync.WaitGroup

	mu     sync.Mutex
	nodes  map[string]*node // by address
	listed chan struct{}    // closed when nodes were taken from the view next
}

// ErrClosed means that the client, or the pool, was closed.
var ErrClosed = errors.New("alloc: closed")

// Open makes a client. It does not wait for agents or the manager: Lease does. When it
// loses them it connects again.
func Open(_ context.Context, cfg Config) (*Client, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, log: cfg.Logger, nodes: map[string]*node{}, listed: make(chan struct{})}
	c.life, c.end = context.WithCancel(context.Background())
	for _, address := range cfg.Agents {
		n, err := newNode(c, address)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.nodes[address] = n
		n.start()
	}
	if cfg.Manager == "" {
		return c, nil
	}
	m, err := manager.NewClient(cfg.Manager, cfg.HTTP)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("alloc: the manager: %w", err)
	}
	m.Logger = cfg.Logger
	c.view = new(manager.View)
	c.ending.Go(func() { _ = m.Watch(c.life, c.view) })
	c.ending.Go(c.follow)
	return c, nil
}

// follow keeps the nodes as the manager says.
func (c *Client) follow() {
	for c.life.Err() == nil {
		changed := c.view.Changed()
		c.update(c.view.Nodes())
		select {
		case <-changed:
		case <-c.life.Done():
		}
	}
}

// update takes what the manager says of the nodes.
func (c *Client) update(list []manager.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	listed := map[string]bool{}
	for i := range list {
		address := c.addressOf(&list[i])
		if address == "" {
			continue
		}
		listed[address] = true
		n := c.nodes[address]
		if n == nil {
			var err error
			if n, err = newNode(c, address); err != nil {
				c.log.Error("a node cannot be used", "node", list[i].ID, "reason", err)
				continue
			}
			c.nodes[address] = n
		}
		n.list(&list[i])
	}
	for address, n := range c.nodes {
		if !listed[address] && n.unlist() {
			delete(c.nodes, address)
			c.ending.Go(n.stop)
		}
	}
	close(c.listed)
	c.listed = make(chan struct{})
}

// anyNode says whether there is a node; news is closed when that may have changed.
func (c *Client) anyNode() (there bool, news <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.nodes) > 0, c.listed
}

// addressOf is where a node is reached over the client's device, empty if it is not.
func (c *Client) addressOf(n *manager.Node) string {
	wire := c.cfg.Device.Capabilities().Wire
	for _, a := range n.Addresses {
		if a.Wire == wire {
			if a.TLS && a.Network == networkTCP {
				return networkTLS + ":" + a.Address
			}
			return a.Network + ":" + a.Address
		}
	}
	return ""
}

// all are the known nodes.
func (c *Client) all() []*node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.nodes))
}

// Device is what agents and workers are reached over.
func (c *Client) Device() *transport.Device { return c.cfg.Device }

// flushPatience is how long Close waits for what was given back to arrive.
const flushPatience = time.Second

// flush waits until the agents have taken back what was given back, and what they were
// asked for and is not wanted any more.
func (c *Client) flush() {
	begun := time.Now()
	for _, n := range c.all() {
		for n.waiting() && time.Since(begun) < flushPatience {
			time.Sleep(100 * time.Microsecond)
		}
	}
}

// Close ends the connections to agents. Pools are to be closed before: leases that are
// still there end when their life is over.
func (c *Client) Close() error {
	c.flush()
	c.end()
	c.ending.Wait()
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.release())
	}
	return errors.Join(errs...)
}
