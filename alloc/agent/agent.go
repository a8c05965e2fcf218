package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
)

// Agent offers the cores of a node. Any goroutine may call its methods.
type Agent struct {
	cfg       Config
	log       *slog.Logger
	meter     *metering
	begun     time.Time
	endpoints []*endpoint

	life   context.Context
	end    context.CancelFunc
	ending sync.WaitGroup // goroutines

	alarm   chan struct{} // something is due earlier
	changed chan struct{} // there is something new to tell the manager

	isolation isolation // of packages
	lingering lingering
	compiling sync.Mutex
	processes atomic.Uint64 // that were started

	mu          sync.Mutex
	closed      bool
	node        *lease.Node
	told        lease.Capacity // that was free
	armed       time.Duration  // when the timer goes off
	sessions    map[lease.Session]*session
	lastSession lease.Session
	workers     map[lease.ID][]*worker
	programs    map[[32]byte]*Program
	supervisors map[bool]*executor.Supervisor // by whether they isolate
	idle        chan struct{}                 // closed when there are no leases; nil: Drain does not wait
	secrets     *mathrand.ChaCha8
	actions     []lease.Action // of settle
	counts      counts
	manager     *manager.Client // while Register runs
}

// New makes an agent. It takes no connections but those of Serve, Admit and Stream.
func New(cfg Config) (*Agent, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	var seed [32]byte
	rand.Read(seed[:])
	a := &Agent{
		cfg: cfg, log: cfg.Logger, begun: time.Now(), alarm: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		sessions: map[lease.Session]*session{}, workers: map[lease.ID][]*worker{}, programs: map[[32]byte]*Program{},
		supervisors: map[bool]*executor.Supervisor{}, secrets: mathrand.NewChaCha8(seed),
		counts: newCounts(),
	}
	var err error
	if a.meter, err = newMetering(cfg.Name, cfg.Epoch, cfg.State, cfg.Logger); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	a.node = lease.NewNode(lease.NodeConfig{
		Epoch: cfg.Epoch, Cores: cfg.Cores, MemoryBytes: cfg.MemoryBytes, Overhead: overhead,
		MaxLife: cfg.MaxLife, Notice: cfg.Notice, Quota: cfg.Quota, Secret: a.secret,
	})
	a.life, a.end = context.WithCancel(context.Background())
	for _, url := range cfg.Transports {
		e, err := newEndpoint(a, url)
		if err != nil {
			a.Close()
			return nil, err
		}
		a.endpoints = append(a.endpoints, e)
		a.ending.Go(e.poll)
	}
	if cfg.Packages != nil { // this also removes what a killed agent has left
		if _, err := a.supervisor(&Program{}); err != nil {
			a.log.Warn("packages cannot be isolated here, and are refused", "reason", err)
		}
	}
	if err := a.watchLoad(); err != nil {
		a.Close()
		return nil, err
	}
	a.ending.Go(a.keepTime)
	a.ending.Go(a.keepAccounts)
	return a, nil
}

// secret makes one; a.mu is held. ChaCha8 is a cryptographic generator: what it has made
// tells nothing about what it will.
func (a *Agent) secret() (s lease.Secret) {
	a.secrets.Read(s[:])
	return s
}

// overhead is what a worker's platform needs: its process, and memory for calls.
func overhead(t *lease.Terms) int64 { return executor.Overhead(t.Slots, t.SlotBytes, t.PayloadBytes) }

// now is the agent's clock.
func (a *Agent) now() time.Duration { return time.Since(a.begun) }

// Offer adds a program that the agent has from the beginning, under a digest; zero is
// for the functions that come with it. It belongs to the agent, also after an error. ctx
// bounds compiling.
func (a *Agent) Offer(ctx context.Context, digest [32]byte, p *Program) error {
	if err := a.prepare(ctx, p); err != nil {
		p.close()
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.programs[digest] = p
	a.node.Found(a.now(), digest, true, "")
	return nil
}

// prepare makes ready what executors of a program need.
func (a *Agent) prepare(ctx context.Context, p *Program) error {
	s, err := a.supervisor(p)
	if err != nil || p.Trusted || p.Compiled != nil || a.cfg.Compile == nil {
		return err
	}
	a.compiling.Lock()
	defer a.compiling.Unlock()
	return a.cfg.Compile(ctx, s, p)
}

// supervisor starts the executors of a program.
func (a *Agent) supervisor(p *Program) (*executor.Supervisor, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed { // it would never be ended
		return nil, transport.ErrClosed
	}
	if s := a.supervisors[!p.Trusted]; s != nil {
		return s, nil
	}
	cfg := executor.Config{
		Command: a.cfg.Command, Setup: executor.Setup{Transports: a.cfg.Transports}, Output: a.cfg.Output, Logger: a.cfg.Logger, Spares: a.cfg.Spares,
	}
	if !p.Trusted {
		cfg.Confine = a.cfg.Confine
	}
	s, err := executor.New(cfg)
	if err != nil {
		return nil, err
	}
	a.supervisors[!p.Trusted] = s
	return s, nil
}

// enter reports whether the agent is open. If so, a.ending.Done has to follow.
func (a *Agent) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.ending.Add(1)
	}
	return !a.closed
}

// with calls the state machine and carries out its actions.
func (a *Agent) with(f func(n *lease.Node, now time.Duration)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	f(a.node, now)
	a.settle(now)
}

// settle carries out the actions of the state machine, which may cause more. a.mu is held.
func (a *Agent) settle(now time.Duration) {
	for {
		a.actions = a.node.Actions(a.actions[:0])
		if len(a.actions) == 0 {
			break
		}
		for i := range a.actions {
			a.carryOut(&a.actions[i])
		}
	}
	if free := a.node.Free(); free != a.told {
		a.told = free
		select {
		case a.changed <- struct{}{}:
		default:
		}
	}
	if a.idle != nil && len(a.workers) == 0 {
		close(a.idle)
		a.idle = nil
	}
	if next := a.node.Tick(now); next < a.armed {
		a.armed = next
		select {
		case a.alarm <- struct{}{}:
		default:
		}
	}
}

func (a *Agent) carryOut(do *lease.Action) {
	switch l := do.Lease; do.Do {
	case lease.DoSend:
		if do.Message.Kind == lease.Refusal {
			a.counts.refused[do.Message.Reason]++
		}
		if s := a.sessions[do.Session]; s != nil {
			s.send(&do.Message)
		}
	case lease.DoBegin:
		a.workers[l.ID] = newWorkers(a, l)
		a.meter.begin(l, l.Begun)
		if a.log.Enabled(a.life, slog.LevelDebug) {
			a.log.Debug("lease granted", "lease", l.ID, "tenant", l.Tenant, "workers", l.Terms.Workers, "cores", l.Cores)
		}
	case lease.DoDrain:
		for _, w := range a.workers[l.ID] {
			a.ending.Go(w.drain)
		}
	case lease.DoFence:
		a.fence(l)
	case lease.DoFind:
		digest := do.Message.Terms.Digest
		a.ending.Go(func() { a.find(digest) })
	case lease.DoPull:
		if s := a.sessions[do.Session]; s != nil {
			m := do.Message
			a.ending.Go(func() { s.pull(&m) })
		}
	}
}

// fence ends the processes of a lease, and then the lease.
func (a *Agent) fence(l *lease.Lease) {
	workers := a.workers[l.ID]
	used := false
	for _, w := range workers {
		used = w.bar() || used
	}
	if !used {
		a.fenced(a.node, l, 0)
		return
	}
	grace := time.Duration(0)
	if l.Reason() == lease.Released {
		grace = releaseGrace
	}
	a.ending.Go(func() {
		var errs []error
		var all sync.WaitGroup
		var mu sync.Mutex
		for _, w := range workers {
			all.Go(func() {
				if err := w.fence(grace); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if len(errs) > 0 {
			a.log.Error("cores of an ended lease stay out of stock, as something may still run on them", "lease", l.ID, "cores", l.Cores, "reason", errors.Join(errs...))
			return
		}
		cpu := cpuTime(workers)
		a.countLingering(true)
		a.with(func(n *lease.Node, _ time.Duration) { a.fenced(n, l, cpu) })
	})
}

// fenced gives back what a lease had, nothing of which runs any more. a.mu is held.
func (a *Agent) fenced(n *lease.Node, l *lease.Lease, cpu time.Duration) {
	delete(a.workers, l.ID)
	usage, claimed := a.meter.end(l.ID, a.now(), cpu)
	n.Fenced(l.ID, usage, claimed)
	a.counts.ended[l.Reason()]++
}

// progressEvery is how much of a lease's time is lost to the accounts, at most, when the
// agent is killed.
const progressEvery = time.Second

// keepAccounts brings pages up to date and writes ended leases to the ledger.
func (a *Agent) keepAccounts() {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case <-a.life.Done():
			return
		case <-a.meter.wake:
		case <-ticker.C:
			a.mu.Lock()
			leases := a.node.Leases()
			workers := map[lease.ID][]*worker{}
			for _, l := range leases {
				workers[l.ID] = a.workers[l.ID]
			}
			a.mu.Unlock()
			for id, all := range workers {
				a.meter.progress(id, a.now(), cpuTime(all))
			}
			a.countLingering(false)
		}
		if err := a.meter.settle(); err != nil {
			a.log.Error("ended leases cannot be written to the ledger, and will be later", "reason", err)
		}
	}
}

// keepTime does what is due.
func (a *Agent) keepTime() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-a.life.Done():
			return
		case <-a.alarm:
		case <-timer.C:
		}
		a.mu.Lock()
		now := a.now()
		a.armed = a.node.Tick(now)
		a.settle(now)
		wait := min(a.armed-now, time.Hour)
		a.mu.Unlock()
		timer.Reset(max(wait, 0))
	}
}

// Drain gives no more leases and ends all, with notice. It returns when
// there are none, or with the context's error.
func (a *Agent) Drain(ctx context.Context, why lease.Reason, text string) error {
	a.mu.Lock()
	a.node.Drain(a.now(), why, text)
	if a.idle == nil {
		a.idle = make(chan struct{})
	}
	idle := a.idle
	a.settle(a.now())
	a.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("agent: drain: %w", context.Cause(ctx))
	}
}

// Free is what there is for new leases.
func (a *Agent) Free() lease.Capacity {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.node.Free()
}

// Close ends everything at once: leases, their processes, sessions. It returns when
// nothing is left.
func (a *Agent) Close() error {
	a.mu.Lock()
	a.closed = true
	a.end()
	for _, workers := range a.workers {
		for _, w := range workers {
			w.bar()
		}
	}
	supervisors := a.supervisors
	a.supervisors = map[bool]*executor.Supervisor{}
	sessions := a.sessions
	a.sessions = map[lease.Session]*session{}
	a.mu.Unlock()
	for _, s := range supervisors {
		s.Close(0)
	}
	var errs []error
	for _, s := range sessions {
		errs = append(errs, s.close())
	}
	a.ending.Wait()
	a.mu.Lock()
	for _, l := range a.node.Leases() { // whose processes were ended with the supervisors
		a.meter.end(l.ID, a.now(), cpuTime(a.workers[l.ID]))
	}
	a.mu.Unlock()
	errs = append(errs, a.meter.close())
	for _, e := range a.endpoints {
		errs = append(errs, e.close())
	}
	for _, p := range a.programs {
		p.close()
	}
	return errors.Join(errs...)
}
