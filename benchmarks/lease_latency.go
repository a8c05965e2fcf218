package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
)

func init() {
	add(&test{
		name:  leaseLat,
		about: "a lease granted and released, without use; beside send-lat, leases that are used, and cold-start",
		modes: []string{Hot, Adaptive}, modesWhy: "an agent polls for a while at least",
		defaultSize: lease.MessageBytes, minSize: lease.MessageBytes, maxSize: lease.MessageBytes,
		iterations: func(int, string) int { return leases }, baseline: answered,
		measure: newLeaseLatency, serve: newLeaseAgent,
		companions: []string{sendLat, "lease-used", "lease-first-call", "cold-start"},
	})
}

const leaseLat = "lease-lat"

// leases is the default number: a second or two.
const leases = 200_000

// leaseLatency is the measuring side: a tenant that leases a worker, to which it does
// not connect, and gives it back.
type leaseLatency struct {
	*lessee
	terms lease.Terms
	pace  pace
}

func newLeaseLatency(ctx context.Context, s *session) (side, error) {
	stream, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	l, err := newLessee(ctx, s.device, stream, spinOf(s.params.Mode))
	if err != nil {
		return nil, err
	}
	terms := lease.Terms{Workers: 1, Cores: 1, Slots: 1, SlotBytes: invokeSlotBytes(s.params.SizeBytes)}
	return &leaseLatency{l, terms, newPace(s.params.SizeBytes)}, nil
}

func (l *leaseLatency) run(ctx context.Context, n int, out *samples) error {
	last := clock()
	for i := range n {
		if err := l.pace.ended(ctx, i); err != nil {
			return err
		}
		held, err := l.ask(ctx, last, l.terms)
		if err != nil {
			return err
		}
		if err := l.giveBack(ctx, held.ID); err != nil {
			return err
		}
		now := clock()
		out.add(now - last)
		last = now
	}
	return nil
}

// leaseAgent is the peer: an agent without code, which has no process to start.
type leaseAgent struct {
	agent    *agent.Agent
	requests atomic.Int64
	awaited  int64
}

func newLeaseAgent(ctx context.Context, s *session) (side, error) {
	l := &leaseAgent{}
	var err error
	l.agent, err = agent.New(agent.Config{
		Name: "benchmark", Transports: []string{s.params.Transport}, Cores: []int{executor.AnyCore}, MemoryBytes: agentMemory,
		Hot: spinOf(s.params.Mode), Quota: l.count,
	})
	if err != nil {
		return nil, err
	}
	if err := l.admit(ctx, s); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// agentMemory is what the agents of benchmarks offer, in bytes: more than is needed.
const agentMemory = 1 << 50

func (l *leaseAgent) admit(ctx context.Context, s *session) error {
	stream, err := s.accept(ctx)
	if err != nil {
		return err
	}
	request, err := transport.Receive(ctx, stream)
	if err != nil {
		return err
	}
	return l.agent.Admit(ctx, request)
}

// count counts requests: an agent asks for the quota once for each.
func (l *leaseAgent) count(string) lease.Capacity {
	l.requests.Add(1)
	return lease.Capacity{}
}

// run waits until n leases more were asked for: seldom looking, as invokeWorkers does.
func (l *leaseAgent) run(ctx context.Context, n int, _ *samples) error {
	for l.awaited += int64(n); l.requests.Load() < l.awaited; time.Sleep(invokeLook) {
		if ctx.Err() != nil {
			return fmt.Errorf("after %d of %d leases: %w", l.requests.Load(), l.awaited, context.Cause(ctx))
		}
	}
	return nil
}

func (l *leaseAgent) close() error { return l.agent.Close() }
