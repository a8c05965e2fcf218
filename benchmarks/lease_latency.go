package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/internal/link"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
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

// lessee is a tenant of an agent that does everything on the goroutine that calls it:
// nothing is handed over, as it is in package alloc, so that what is measured is the
// protocol and the agent.
type lessee struct {
	domain *transport.ProtectionDomain
	queue  *transport.Queue
	link   *link.Link
	state  *lease.Client
	spin   time.Duration
	now    time.Duration // of the last request: what is answered within moments needs no other

	ended       lease.ID // that the agent told of last
	message     lease.Message
	messages    []lease.Message
	events      []lease.Event
	completions [link.Completions]transport.Completion
}

// tenant is who leases in a benchmark, leaseLife for how long. Nothing is renewed.
const (
	tenant    = "benchmark"
	leaseLife = time.Minute
)

// newLessee connects to the agent at the other end of a stream, which it takes over.
func newLessee(ctx context.Context, d *transport.Device, stream net.Conn, spin time.Duration) (*lessee, error) {
	l := &lessee{state: lease.NewClient(), spin: spin}
	var err error
	if l.domain, err = d.NewProtectionDomain(); err == nil {
		l.queue, err = d.NewQueue(link.Completions)
	}
	if err != nil {
		stream.Close()
		return nil, errors.Join(err, l.close())
	}
	if err := l.connect(ctx, d, stream); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *lessee) connect(ctx context.Context, d *transport.Device, stream net.Conn) error {
	var hello lease.Hello
	cfg := link.Config(l.domain, l.queue)
	cfg.PrivateData = (&lease.Hello{Name: tenant}).Encode()
	cfg.Authorize = func(_ context.Context, peer transport.Peer) error { return hello.Decode(peer.PrivateData) }
	conn, err := d.Connect(ctx, stream, cfg)
	if err != nil {
		return err
	}
	if l.link, err = link.New(conn, l.domain); err != nil {
		return errors.Join(err, conn.Close())
	}
	l.state.Connected(l.now, hello.Epoch)
	return l.link.Start()
}

// ask gets a lease. now is what clock says, so that it is not read twice.
func (l *lessee) ask(ctx context.Context, now int64, t lease.Terms) (*lease.Held, error) {
	l.now = time.Duration(now)
	number := l.state.Ask(l.now, t, leaseLife)
	for {
		if err := l.exchange(ctx); err != nil {
			return nil, err
		}
		l.events = l.state.Events(l.events[:0])
		for i := range l.events {
			switch e := &l.events[i]; {
			case e.Number != number:
			case e.Kind == lease.WasGranted:
				return e.Lease, nil
			default:
				return nil, fmt.Errorf("the agent grants no lease: %v %s", e.Reason, e.Text)
			}
		}
	}
}

// giveBack returns a lease, and waits until its cores are stock again.
func (l *lessee) giveBack(ctx context.Context, id lease.ID) error {
	l.state.Return(id)
	for l.ended != id {
		if err := l.exchange(ctx); err != nil {
			return err
		}
	}
	return nil
}

// exchange sends what there is to send, waits until something happens, and takes what has
// arrived.
func (l *lessee) exchange(ctx context.Context) error {
	l.messages = l.state.Messages(l.messages[:0])
	for i := range l.messages {
		if err := l.link.Send(&l.messages[i]); err != nil {
			return err
		}
	}
	n, err := l.queue.Wait(ctx, l.completions[:], l.spin)
	if err != nil {
		return err
	}
	for i := range l.completions[:n] {
		got, err := l.link.Completed(&l.completions[i], &l.message)
		if err == nil && got {
			err = l.receive()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lessee) receive() error {
	if l.message.Kind == lease.Ended {
		l.ended = l.message.Lease
	}
	return l.state.Receive(l.now, &l.message)
}

// close ends the connection. The agent learns of it, and leases live on there.
func (l *lessee) close() error {
	var errs []error
	if l.link != nil {
		errs = append(errs, l.link.Close())
	}
	if l.queue != nil {
		errs = append(errs, l.queue.Close())
	}
	if l.domain != nil {
		errs = append(errs, l.domain.Close())
	}
	return errors.Join(errs...)
}
