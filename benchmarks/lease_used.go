package benchmarks

import (
	"context"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
)

func wholeLeases(ctx context.Context, r *runner, _ *test, p params) ([]Result, error) {
	return useLeases(ctx, r, p, steps.sum, StartCold)
}

func firstCalls(ctx context.Context, r *runner, _ *test, p params) ([]Result, error) {
	return useLeases(ctx, r, p, steps.untilResult, StartCold, StartSpare)
}

// useLeases leases, calls once and gives back, again and again: for each function and
// each way to start. of is the time that counts.
func useLeases(ctx context.Context, r *runner, p params, of func(steps) int64, starts ...string) ([]Result, error) {
	device, err := r.openForExecutors()
	if err != nil {
		return nil, err
	}
	defer device.Close()
	var results []Result
	for i := range r.config.Functions {
		f := &r.config.Functions[i]
		for _, start := range starts {
			u := &usedLeases{function: f, device: device, params: p, order: f.order(p, executor.AnyCore), tally: newTally(ofFunction(f, device, p), of)}
			u.result.Start = start
			if err := u.measure(ctx); err != nil {
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				return nil, fmt.Errorf("%s: %w", f.Label, err)
			}
			results = append(results, u.summary())
		}
	}
	return results, nil
}

// usedLeases are leases of one function. The agent is in this process, as the supervisor
// of cold-start is, so that the two can be compared.
type usedLeases struct {
	*tally
	function *Function
	device   *transport.Device
	params   params
	order    executor.Order
	agent    *agent.Agent
	lessee   *lessee
	born     int64 // when the last worker started, in ticks
}

func (u *usedLeases) measure(ctx context.Context) (err error) {
	if err := u.startAgent(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.agent.Close()) }()
	stream, err := u.agent.Stream()
	if err != nil {
		return err
	}
	if u.lessee, err = newLessee(ctx, u.device, stream, spinOf(u.params.Mode)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.lessee.close()) }()
	next := u.once
	if u.result.Start == StartSpare {
		next = u.onceWithSpare
	}
	const unmeasured = 1 // lease: it fills caches
	for round := range unmeasured + u.params.Iterations {
		took, err := next(ctx)
		if err != nil {
			return err
		}
		if round >= unmeasured {
			u.add(took)
		}
	}
	return nil
}

// startAgent starts an agent that has the function.
func (u *usedLeases) startAgent(ctx context.Context) error {
	f := u.function
	program, err := f.program()
	if err != nil {
		return err
	}
	cfg := agent.Config{
		Name: "benchmark", Transports: []string{u.params.Transport}, Cores: []int{executor.AnyCore}, MemoryBytes: agentMemory,
		Command: f.Executors.Command, Output: f.Executors.Output, Logger: f.Executors.Logger, Confine: f.Executors.Confine,
	}
	if u.result.Start == StartSpare {
		cfg.Spares = 1
	}
	if u.agent, err = agent.New(cfg); err != nil {
		closeFiles(programFiles(program))
		return err
	}
	if err := u.agent.Offer(ctx, [32]byte{}, program); err != nil {
		return errors.Join(err, u.agent.Close())
	}
	return nil
}

// once uses one lease.
func (u *usedLeases) once(ctx context.Context) (took steps, err error) {
	a := &u.order.Assignment
	terms := lease.Terms{
		Workers: 1, Cores: 1, MemoryBytes: a.MemoryBytes, Slots: a.Slots, SlotBytes: a.SlotBytes, PayloadBytes: a.PayloadBytes,
		Spin: spinOf(u.params.Mode),
	}
	t0 := clock()
	held, err := u.lessee.ask(ctx, t0, terms)
	if err != nil {
		return took, err
	}
	t1 := clock()
	client, err := u.connect(ctx, held)
	if err != nil {
		return took, err
	}
	defer client.Close() // again, unless something failed
	function, err := client.Function(ctx, a.Functions[0].Name)
	if err != nil {
		return took, err
	}
	t2 := clock()
	out := make([]byte, max(u.params.SizeBytes, a.SlotBytes))
	if _, err := client.Call(ctx, function, make([]byte, u.params.SizeBytes), out); err != nil {
		return took, err
	}
	t3 := clock()
	u.result.PeerPID, _ = u.agent.Process(held.ID, 0)
	if u.born, err = bornOf(u.result.PeerPID); err != nil {
		return took, err
	}
	t4 := clock()
	if err := client.Close(); err != nil {
		return took, err
	}
	if err := u.lessee.giveBack(ctx, held.ID); err != nil {
		return took, err
	}
	return steps{lease: t1 - t0, connect: t2 - t1, call: t3 - t2, fence: clock() - t4}, nil
}

// connect connects to the worker of a lease, which has its process started.
func (u *usedLeases) connect(ctx context.Context, held *lease.Held) (*invoke.Client, error) {
	stream, err := u.agent.Stream()
	if err != nil {
		return nil, err
	}
	token := lease.Token{Lease: held.ID, Secret: held.Secret}
	return invoke.Connect(ctx, u.device, stream, invoke.ClientConfig{
		Slots: 1, SlotBytes: u.order.Assignment.SlotBytes, Mode: invokeMode(u.params.Mode), Token: token.Encode(),
	})
}
