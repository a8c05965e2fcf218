package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/transport"
)

// leaser leases workers that have a function: of a node in this process, or of a cluster.
type leaser struct {
	lease   func(ctx context.Context, o alloc.Order) (*alloc.Pool, error)
	process func(w alloc.Worker) (pid int, cores []int) // nil if that is not known
	close   func()
}

// cluster leases from the nodes that a manager knows.
func (p *program) cluster(ctx context.Context, at *managerFlags, as *clientCredentials, device *transport.Device, code *pack.Package) (*leaser, error) {
	c, err := alloc.Open(ctx, alloc.Config{
		Device: device, Manager: at.url, HTTP: as.http, TLS: as.tls, Token: []byte(as.token), Logger: p.logging.toldLater(),
	})
	if err != nil {
		return nil, usageError("--manager %s: %w", at.url, err)
	}
	return &leaser{
		lease: func(ctx context.Context, o alloc.Order) (*alloc.Pool, error) {
			o.Package = code
			return c.Lease(ctx, o)
		},
		close: func() {
			if err := c.Close(); err != nil {
				p.logging.log.Warn("connections to agents cannot be closed", "reason", err)
			}
		},
	}, nil
}

// freeSoon is how long a manager is given to hear of leases that have just ended, such as
// those of the command before in a script; freeAgain is how often it is asked.
const (
	freeSoon  = 2 * time.Second
	freeAgain = 50 * time.Millisecond
)

// freeCores is how many workers of so many cores there can be in a cluster.
func freeCores(ctx context.Context, m *manager.Client, s manager.Snapshot, each int) (free int, err error) {
	for begun := time.Now(); ; {
		for _, n := range s.Nodes {
			if !n.Draining {
				free += n.FreeCores / each
			}
		}
		if free > 0 {
			return free, nil
		}
		if time.Since(begun) > freeSoon {
			what := "no core of the cluster is free"
			if each > 1 {
				what = fmt.Sprintf("no node of the cluster has %d free cores", each)
			}
			return 0, fmt.Errorf("%s ('rfaas nodes' shows it); say with --workers for how many to wait", what)
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(freeAgain):
		}
		if s, err = m.Nodes(ctx); err != nil {
			return 0, err
		}
	}
}

// archive is the package that a cluster is sent, nil for a function that comes with the
// program.
func (f *function) archive() *pack.Package {
	if f.code == nil {
		return nil
	}
	return f.code.archive
}
