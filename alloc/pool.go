package alloc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/transport"
)

// Pool calls functions on leased workers. Any goroutine may call its methods.
type Pool struct {
	*client.Client
	owner *Client
	order Order
	waits waits

	closing sync.Once
	err     error

	mu      sync.Mutex
	seats   []*seat          // of the lanes; nil: it has none now
	spare   []*seat          // leased, and no lane's
	grants  []*grant         // those whose end was not counted yet
	used    accounting.Usage // of the others
	claimed bool             // of the others: some of it is what their own code says
}

// seat is a worker of a lease, for one lane.
type seat struct {
	grant    *grant
	worker   int
	attempts atomic.Uint32 // of connections
	idle     bool          // a lane has let it go; of the pool's lock
}

// Lease gets workers and makes a pool of them. It returns when all that the order wants
// are leased, or AtLeast, if there are no more at once; their processes start when they are
// connected to. The context bounds
// Lease only. If it ends, what was got is given back, and the error says who refused and
// why.
func (c *Client) Lease(ctx context.Context, o Order) (*Pool, error) {
	o.complete()
	p := &Pool{owner: c, order: o}
	p.waits.pool = p
	for missing := o.Workers; missing > 0; missing = o.Workers - len(p.spare) {
		enough := len(p.spare) >= o.AtLeast
		grants, err := p.acquire(ctx, missing, enough)
		if err != nil && enough {
			break
		}
		if err != nil {
			got := len(p.spare)
			p.giveBack()
			return nil, fmt.Errorf("alloc: %d of %d workers were to be had: %w", got, o.Workers, err)
		}
		p.add(grants)
	}
	p.seats = make([]*seat, len(p.spare))
	cfg := o.Calls
	cfg.Lanes, cfg.Dial, cfg.Idle, cfg.Memory = len(p.seats), p.dial, o.Idle, c.cfg.Memory
	var err error
	if p.Client, err = client.New(cfg); err != nil {
		p.giveBack()
		return nil, err
	}
	return p, nil
}

// nodes is how many workers the pool has by node.
func (p *Pool) nodes() map[*node]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := map[*node]int{}
	for _, s := range slices.Concat(p.seats, p.spare) {
		if s != nil && !isClosed(s.grant.leaving) {
			count[s.grant.node]++
		}
	}
	return count
}

// add makes seats of leases.
func (p *Pool) add(grants []*grant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.countEnded()
	p.grants = append(p.grants, grants...)
	for _, g := range grants {
		for i := range g.workers {
			p.spare = append(p.spare, &seat{grant: g, worker: i})
		}
	}
}

// Close ends calls that wait or run, gives the leases back, and waits until they have
// ended, a few seconds at most.
func (p *Pool) Close() error {
	p.closing.Do(func() {
		p.err = p.Client.Close()
		p.giveBack()
		p.mu.Lock()
		grants := slices.Clone(p.grants)
		p.mu.Unlock()
		late := time.NewTimer(endPatience)
		defer late.Stop()
		for _, g := range grants {
			select {
			case <-g.ended:
			case <-late.C:
				return
			}
		}
	})
	return p.err
}

// endPatience is how long Close waits for the end of leases.
const endPatience = 3 * time.Second

// Usage is what the pool's leases have cost that have ended, as their agents say: all
// of them after Close, if their agents could be heard. claimed: some of the counts are what
// the code itself says.
func (p *Pool) Usage() (sum accounting.Usage, claimed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.countEnded()
	return p.used, p.claimed
}

// countEnded forgets the leases that have ended, but for what they have cost. p.mu is held.
func (p *Pool) countEnded() {
	p.grants = slices.DeleteFunc(p.grants, func(g *grant) bool {
		if !isClosed(g.ended) {
			return false
		}
		p.used, p.claimed = p.used.Add(g.usage), p.claimed || g.claimed
		return true
	})
}

func (p *Pool) giveBack() {
	p.mu.Lock()
	all := slices.Concat(p.spare, p.seats)
	p.spare = nil
	clear(p.seats)
	p.mu.Unlock()
	for _, s := range all {
		if s != nil {
			s.grant.giveBack()
		}
	}
}

// dial connects a lane to its worker, or to one in its place.
func (p *Pool) dial(ctx context.Context, lane int) (client.Worker, error) {
	s, err := p.seat(ctx, lane)
	if err != nil {
		return client.Worker{}, err
	}
	n := s.grant.node
	attempt := s.attempts.Add(1)
	token := lease.Token{Lease: s.grant.id, Secret: s.grant.secret, Worker: s.worker, Attempt: attempt}
	stream, err := p.owner.cfg.Dial(ctx, n.address)
	if err != nil { // whatever becomes of the lease, it is of no use here
		p.leave(lane, s)
		return client.Worker{}, fmt.Errorf("alloc: node %s: %w", n.name(), err)
	}
	name := fmt.Sprintf("worker %d of lease %v at node %s", s.worker, s.grant.id, n.name())
	conn, err := invoke.Connect(ctx, p.owner.cfg.Device, stream, invoke.ClientConfig{
		Slots: p.order.Slots, SlotBytes: p.order.SlotBytes, Mode: invoke.Warm, Memory: p.owner.cfg.Memory, Token: token.Encode(), Name: name,
	})
	if err != nil {
		if p.owner.life.Err() != nil || ctx.Err() != nil {
			return client.Worker{}, err // it is not wanted any more
		}
		if errors.Is(err, invoke.ErrRevoked) {
			p.leave(lane, s)
			return client.Worker{}, err
		}
		if !n.isConnected() { // the agent has gone, not the process
			p.leave(lane, s)
		}
		why := s.notStarted(ctx, attempt, err)
		p.owner.log.Warn("worker failed to start", "lane", lane, "node", n.name(), "lease", s.grant.id, "worker", s.worker, "reason", why)
		return client.Worker{}, &StartError{Node: n.name(), Reason: why}
	}
	if p.order.OnWorker != nil {
		p.order.OnWorker(lane, Worker{n.name(), s.grant.id, s.worker})
	}
	return client.Worker{Client: conn, Idle: func() { p.letGo(lane, s) }, Fate: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, fatePatience)
		defer cancel()
		e, ok := s.grant.fate(ctx, s.worker, attempt)
		switch {
		case ok:
			return &LostError{Node: n.name(), Process: e.Process, Reason: e.Reason, How: e.Text}
		case isClosed(s.grant.leaving):
			return &LostError{Node: n.name(), Reason: lease.Revoked, How: "its lease has ended"}
		}
		return &LostError{Node: n.name(), How: fmt.Sprint(conn.Err())}
	}}, nil
}

// notStarted is why there was no connection to a worker's process: what the agent says,
// or how the process ended.
func (s *seat) notStarted(ctx context.Context, attempt uint32, err error) string {
	if r := (*transport.RejectedError)(nil); errors.As(err, &r) {
		return r.Reason
	}
	ctx, cancel := context.WithTimeout(ctx, fatePatience)
	defer cancel()
	if e, ok := s.grant.fate(ctx, s.worker, attempt); ok {
		return fmt.Sprintf("executor (process %d): %s", e.Process, e.Text)
	}
	return err.Error()
}

// fatePatience is how long the news of a process's end may come after the end of its
// connection.
const fatePatience = 300 * time.Millisecond

// seat is the worker of a lane.
func (p *Pool) seat(ctx context.Context, lane int) (*seat, error) {
	p.mu.Lock()
	s := p.seats[lane]
	p.mu.Unlock()
	if s != nil {
		if !isClosed(s.grant.leaving) {
			return s, nil
		}
		p.leave(lane, s)
	}
	for {
		p.mu.Lock()
		for len(p.spare) > 0 {
			s := p.spare[0]
			p.spare = p.spare[1:]
			if isClosed(s.grant.leaving) {
				continue
			}
			if s.idle {
				s.idle = false
				s.grant.users++
			}
			p.seats[lane] = s
			p.mu.Unlock()
			return s, nil
		}
		p.mu.Unlock()
		grants, err := p.acquire(ctx, 1, false)
		if err != nil {
			return nil, err
		}
		p.add(grants)
	}
}

// leave gives a lane's worker up. A lease without users is given back.
func (p *Pool) leave(lane int, s *seat) {
	p.mu.Lock()
	if p.seats[lane] == s {
		p.seats[lane] = nil
	}
	unused := p.unused(s.grant)
	p.mu.Unlock()
	if unused {
		s.grant.giveBack()
	}
}

// letGo takes a worker from a lane that does not need it now: others may, as long as its
// lease has users.
func (p *Pool) letGo(lane int, s *seat) {
	p.mu.Lock()
	p.seats[lane] = nil
	s.idle = true
	p.spare = append(p.spare, s)
	unused := p.unused(s.grant)
	p.mu.Unlock()
	if unused {
		p.owner.log.Info("lease is given back", "node", s.grant.node.name(), "lease", s.grant.id, "reason", "its workers had no calls")
		s.grant.giveBack()
	}
}

// unused counts a user of a lease less, and says whether it was the last one. Then no lane
// gets a worker of it any more. p.mu is held.
func (p *Pool) unused(g *grant) bool {
	if g.users--; g.users > 0 {
		return false
	}
	p.spare = slices.DeleteFunc(p.spare, func(s *seat) bool { return s.grant == g })
	return true
}

// StartError says that a worker could not be started.
type StartError struct {
	Node   string
	Reason string // what the agent says
}

func (e *StartError) Error() string { return fmt.Sprintf("node %s: %s", e.Node, e.Reason) }

// LostError says that a worker was lost, and with it the call that it had.
type LostError struct {
	Node    string
	Process int          // 0: not known
	Reason  lease.Reason // NoReason: not known
	How     string
}

func (e *LostError) Error() string {
	if e.Process == 0 {
		return fmt.Sprintf("a worker at node %s was lost: %s", e.Node, e.How)
	}
	return fmt.Sprintf("worker process %d at node %s was lost: %s", e.Process, e.Node, e.How)
}
