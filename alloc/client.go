package alloc

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/rfaas-go/rfaas/transport"
)

// Client leases from agents. Its methods may be called from anywhere.
type Client struct {
	cfg Config
	log *slog.Logger

	life   context.Context
	end    context.CancelFunc
	ending sync.WaitGroup

	nodes []*node
}

// ErrClosed means that the client, or the pool, was closed.
var ErrClosed = errors.New("alloc: closed")

// Open makes a client, which connects to the agents by itself, and again when it has
// lost one. It does not wait for them: Lease does.
func Open(_ context.Context, cfg Config) (*Client, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, log: cfg.Logger}
	c.life, c.end = context.WithCancel(context.Background())
	for _, address := range cfg.Agents {
		n, err := newNode(c, address)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.nodes = append(c.nodes, n)
		c.ending.Go(n.run)
	}
	return c, nil
}

// Device is what agents and workers are reached over.
func (c *Client) Device() *transport.Device { return c.cfg.Device }

// Close ends the connections to agents. Pools are to be closed before: leases that are
// still there end when their life is over.
func (c *Client) Close() error {
	c.end()
	c.ending.Wait()
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.release())
	}
	return errors.Join(errs...)
}
