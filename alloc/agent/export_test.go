package agent

import (
	"context"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

// Load is a sample of the load, for tests of the package from outside.
type Load struct{ At, Used, Own time.Duration }

// NewLoadReader reads the load of this machine.
func NewLoadReader() (read func() (Load, error), err error) {
	r, err := newLoadReader()
	if err != nil {
		return nil, err
	}
	return func() (Load, error) {
		s, err := r.sample()
		return Load{s.at, s.used, s.own}, err
	}, nil
}

// WatchLoad sets how an agent looks at the load.
func (c *Config) WatchLoad(window, interval time.Duration, read func() (Load, error)) {
	c.load = loadWatch{window, interval, func() (loadSample, error) {
		l, err := read()
		return loadSample{l.At, l.Used, l.Own}, err
	}}
}

// Confinement says how executors of packages are isolated.
func (a *Agent) Confinement(ctx context.Context) (confine.Report, error) {
	s, err := a.supervisor(&Program{})
	if err != nil {
		return confine.Report{}, err
	}
	return s.Confinement(ctx)
}

// LeaseIDs are those of all leases.
func (a *Agent) LeaseIDs() (all []lease.ID) {
	a.with(func(n *lease.Node, _ time.Duration) {
		for _, l := range n.Leases() {
			all = append(all, l.ID)
		}
	})
	return all
}
