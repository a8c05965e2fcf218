package alloc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
)

// acquire leases up to a number of workers, at least one. once: each node is asked no more
// than once.
func (p *Pool) acquire(ctx context.Context, workers int, once bool) (got []*grant, err error) {
	p.waits.begin(workers)
	defer func() { p.waits.end(workers, err == nil) }()
	const least, most = 2 * time.Millisecond, time.Second
	s := search{pool: p}
	var refusals error // of the last round that came to an end
	for pause := least; ; pause = min(2*pause, most) {
		got, again, err := s.round(ctx, workers)
		if len(got) > 0 {
			return got, nil
		}
		if ctx.Err() == nil || refusals == nil {
			refusals = err
			p.waits.refused(err)
		}
		if once || !again {
			return nil, err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2+1)):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), refusals)
		case <-p.owner.life.Done():
			return nil, ErrClosed
		}
	}
}

// search is the state of a request for workers, from round to round.
type search struct {
	pool *Pool
	ever map[*node]lastingRefusal // nil before the first
}

// lastingRefusal is one, until the agent is restarted.
type lastingRefusal struct {
	epoch uint64
	why   error
}

// refusedForGood is the lasting refusal of a node, nil if it may be asked again.
func (s *search) refusedForGood(n *node) error {
	if r, ok := s.ever[n]; ok && r.epoch == n.bootEpoch() {
		return r.why
	}
	return nil
}

// round asks nodes, several at a time if several workers are wanted, until there are
// enough workers or no more nodes. again: it may help to do it again.
func (s *search) round(ctx context.Context, workers int) (got []*grant, again bool, err error) {
	s.pool.owner.await(ctx)
	all, full, errs := s.candidates(workers)
	if len(all) == 0 && len(errs) == 0 {
		return nil, true, s.pool.owner.noNode(&s.pool.order)
	}
	again = full > 0
	for len(all) > 0 && workers > 0 {
		shares := s.pool.order.shares(all, workers)
		all = all[len(shares):]
		for _, a := range s.askAll(ctx, shares) {
			switch {
			case a.err == nil:
				got = append(got, a.grant)
				workers -= a.grant.workers
			case lasting(a.err):
				s.note(a)
				errs = append(errs, a.err)
			default:
				again = true
				errs = append(errs, a.err)
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	if full > 0 {
		errs = append(errs, fmt.Errorf("alloc: %d more nodes are full, as the manager says", full))
	}
	return got, again || ctx.Err() != nil, errors.Join(errs...)
}

// note keeps a refusal that is lasting.
func (s *search) note(a answer) {
	if s.ever == nil {
		s.ever = map[*node]lastingRefusal{}
	}
	s.ever[a.node] = lastingRefusal{a.node.bootEpoch(), a.err}
}

// answer is what a node says to a request.
type answer struct {
	node  *node
	grant *grant
	err   error
}

// askAll asks for shares, all at once, and waits for the answers.
func (s *search) askAll(ctx context.Context, shares []share) []answer {
	o, alone := &s.pool.order, len(s.pool.owner.all()) == 1
	answers := make([]answer, len(shares))
	ask := func(i int) {
		a, workers := &answers[i], shares[i].workers
		a.node = shares[i].node
		a.grant, a.err = a.node.ask(ctx, o, workers)
		if fewer := o.fewer(workers, a.err, alone); fewer > 0 {
			a.grant, a.err = a.node.ask(ctx, o, fewer)
		}
	}
	if len(shares) == 1 {
		ask(0)
		return answers
	}
	var asking sync.WaitGroup
	for i := range shares {
		asking.Go(func() { ask(i) })
	}
	asking.Wait()
	return answers
}

// fewer is for how many workers to ask a node next, at once, that has refused some; 0 for
// none. alone: there is no other node.
func (o *Order) fewer(refused int, err error, alone bool) int {
	why := (*lease.RefusedError)(nil)
	switch {
	case !errors.As(err, &why):
		return 0
	case why.Reason == lease.NoCores && why.Free.Cores/o.Cores < refused:
		return why.Free.Cores / o.Cores
	case why.Reason == lease.TooMuch && refused > 1 && (o.AtLeast < o.Workers || !alone): // one may be had, now or later
		return 1
	}
	return 0
}
