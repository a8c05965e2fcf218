package benchmarks

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke/executor"
)

// leaseLatency is the measuring side: a tenant that leases a worker, to which it does
// not connect, and gives it back.
type leaseLatency struct {
	*lessee
	terms lease.Terms
	pace  pace
}

func newLeaseLatency(ctx context.Context, s *session) (loop, error) {
	stream, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	l, err := newLessee(ctx, s.device, stream, spinOf(s.params.Mode))
	if err != nil {
		return nil, err
	}
	s.cleanup(l.close)
	terms := lease.Terms{Workers: 1, Cores: 1, Slots: 1, SlotBytes: invokeSlotBytes(s.params.SizeBytes)}
	return (&leaseLatency{l, terms, newPace(s.params.SizeBytes)}).run, nil
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

func newLeaseAgent(ctx context.Context, s *session) (loop, error) {
	l := &leaseAgent{}
	var err error
	l.agent, err = agent.New(agent.Config{
		Name: "benchmark", Transports: []string{s.params.Transport}, Cores: []int{executor.AnyCore}, MemoryBytes: agentMemory,
		Hot: spinOf(s.params.Mode), Quota: l.count,
	})
	if err != nil {
		return nil, err
	}
	s.cleanup(l.agent.Close)
	request, err := s.request(ctx)
	if err != nil {
		return nil, err
	}
	return l.run, l.agent.Admit(ctx, request)
}

// agentMemory is what the agents of benchmarks offer, in bytes: more than is needed.
const agentMemory = 1 << 50

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
