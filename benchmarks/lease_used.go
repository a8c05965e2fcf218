package benchmarks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
)

func wholeLeases(ctx context.Context, r *runner, p params) ([]Result, error) {
	return useLeases(ctx, r, p, steps.sum, StartCold)
}

func firstCalls(ctx context.Context, r *runner, p params) ([]Result, error) {
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
			u := &usedLeases{tally: newTally(newSubject(r, f, device, p), of)}
			u.result.Start = start
			if err := u.measure(ctx); err != nil {
				return nil, f.failed(ctx, err)
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
	agent  *agent.Agent
	lessee *lessee
	born   int64 // when the last worker started, in ticks
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
	program, err := u.program()
	if err != nil {
		return err
	}
	cfg := agent.Config{
		Name: "benchmark", Transports: []string{u.params.Transport}, Cores: []int{executor.AnyCore}, MemoryBytes: agentMemory,
		Command: u.Executors.Command, Output: u.Executors.Output, Logger: u.Executors.Logger, Confine: u.Executors.Confine,
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
	o := u.order(u.params, executor.AnyCore)
	a := &o.Assignment
	terms := lease.Terms{
		Workers: 1, Cores: 1, MemoryBytes: a.MemoryBytes, Slots: a.Slots, SlotBytes: a.SlotBytes, PayloadBytes: a.PayloadBytes,
		Spin: spinOf(u.params.Mode),
	}
	c := u.caller()
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
	if err := c.find(ctx, &u.subject, client); err != nil {
		return took, err
	}
	t2 := clock()
	if err := c.call(ctx); err != nil {
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
	cfg := u.clientConfig()
	cfg.Token = token.Encode()
	return invoke.Connect(ctx, u.device, stream, cfg)
}

// sparePause is longer than an agent usually takes to have a spare executor again.
const sparePause = 150 * time.Millisecond

// onceWithSpare uses a lease whose worker was a spare executor. The agent does not say
// whether it has one, so it is looked at afterwards whether there was.
func (u *usedLeases) onceWithSpare(ctx context.Context) (took steps, err error) {
	deadline := time.Now().Add(spareTimeout)
	for pause := sparePause; ; pause *= 2 {
		select {
		case <-ctx.Done():
			return took, context.Cause(ctx)
		case <-time.After(pause):
		}
		asked, err := ticksNow()
		if err != nil {
			return took, err
		}
		took, err = u.once(ctx)
		switch {
		case err != nil || u.born < asked:
			return took, err
		case time.Now().After(deadline):
			return took, fmt.Errorf("no spare executor was ready within %v; the log says why (--log-level warn)", spareTimeout)
		}
	}
}

// tick is the unit in which Linux tells when a process started.
const tick = 10 * time.Millisecond

// ticksNow is the time since the machine started.
func ticksNow() (int64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, fmt.Errorf("reading the clock: %w", err)
	}
	return t.Nano() / int64(tick), nil
}

// bornOf is when a process started, in ticks since the machine did.
func bornOf(pid int) (int64, error) {
	const field = 22 - 3 // of those after the name of the program, which may have spaces
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= field {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, stat)
	}
	return strconv.ParseInt(string(fields[field]), 10, 64)
}
