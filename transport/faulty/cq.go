package faulty

import (
	"context"
	"math/rand/v2"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// completionQueue decorates a completion queue. To hold a completion back, it takes
// that one, and none after it, until enough polls have passed.
type completionQueue struct {
	transport.CQ // slow, or the provider's
	provider     transport.CQ
	slow         *slowQueue // nil: the network is not
	adapter      *adapter

	holds     schedule // its events are the completions
	patience  *rand.Rand
	taken     uint64 // completions taken from the provider so far
	held      [1]transport.Completion
	holding   atomic.Bool // written by the goroutine that polls
	pollsLeft int         // for which held is held back

	wake  schedule // its events are the Waits
	waits uint64
}

func (a *adapter) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	inner, err := a.Adapter.NewCQ(cfg)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queues++
	c := &completionQueue{
		CQ: inner, provider: inner, adapter: a,
		holds: newSchedule(a.cfg.Seed, kindHold, a.queues, a.cfg.Hold),
		wake:  newSchedule(a.cfg.Seed, kindWake, a.queues, a.cfg.Wake),
	}
	if a.cfg.slow() {
		c.slow = newSlowQueue(a, inner, cfg.Depth)
		c.CQ = c.slow
	}
	c.patience = c.holds.random
	return c, nil
}

func (c *completionQueue) Poll(dst []transport.Completion, spins int) (int, error) {
	n := 0
	switch {
	case len(dst) == 0:
		return 0, nil
	case c.holding.Load() && c.pollsLeft > 0:
		c.pollsLeft--
		return 0, nil
	case c.holding.Load():
		dst[0] = c.held[0]
		c.holding.Store(false)
		n, spins = 1, 0
	}
	if due := c.holds.at - c.taken; due > 0 {
		k, err := c.pull(dst[n:][:min(uint64(len(dst)-n), due)], spins)
		n += k
		if err != nil || uint64(k) < due {
			return n, err
		}
		spins = 0
	}
	return n, c.hold(spins)
}

// hold takes the next completion, if there is one, and holds it back.
func (c *completionQueue) hold(spins int) error {
	k, err := c.pull(c.held[:], spins)
	if k == 1 && c.holds.hits(c.taken-1) {
		c.pollsLeft = c.patience.IntN(c.adapter.cfg.HoldPolls)
		c.holding.Store(true)
		c.adapter.injected.hold.Add(1)
	}
	return err
}

// pull takes completions.
func (c *completionQueue) pull(dst []transport.Completion, spins int) (int, error) {
	n, err := c.CQ.Poll(dst, spins)
	c.taken += uint64(n)
	c.adapter.observe(dst[:n])
	return n, err
}

func (c *completionQueue) Arm(solicitedOnly bool) (ready bool, err error) {
	if c.holding.Load() {
		return true, nil
	}
	return c.CQ.Arm(solicitedOnly)
}

func (c *completionQueue) Wait(ctx context.Context) error {
	if c.holding.Load() {
		return nil // do not sleep while a completion is held back: no wake-up comes for it
	}
	c.waits++
	if c.wake.hits(c.waits - 1) {
		c.adapter.injected.wake.Add(1)
		return nil
	}
	return c.CQ.Wait(ctx)
}
