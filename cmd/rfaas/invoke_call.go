package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/callee"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
)

// invocation is a function to be called from the command line.
type invocation struct {
	flags      *invokeFlags
	name       string // the function's
	moreRoom   string // see function.moreRoom
	program    *program
	device     *transport.Device
	supervisor *executor.Supervisor
	client     *client.Client  // of one worker
	notStarted error           // why there is none
	length     int             // of the input
	failed     atomic.Bool     // a call did, whose function may still run
	took       []time.Duration // by calls
	within     []time.Duration // by the function, in each of them
}

// start has an executor made for an input of so many bytes. end has to follow, also
// when it fails.
func (c *invocation) start(ctx context.Context, function *function) (err error) {
	f, log := c.flags, &c.program.logging
	if c.device, err = openForWorkers(f.transport); err != nil {
		return err
	}
	cores, _, err := (&runFlags{workers: 1, mode: f.mode}).place(1)
	if err != nil {
		return err
	}
	c.supervisor, err = executor.New(executor.Config{
		Command: append([]string{executor.ThisProgram}, executorArgs(log)...),
		Setup:   executor.Setup{Transports: []string{f.transport}},
		Confine: function.confinement(f.code.trust),
		Output:  c.program.meter, Logger: log.log,
	})
	if err != nil {
		return notIsolated(err)
	}
	order := function.order()
	order.Cores, order.Assignment.Mode = executor.On(cores[0]), f.mode
	c.client, err = client.New(client.Config{
		Mode: f.mode, MaxDials: 1, Attempts: 1,
		Dial: func(ctx context.Context, _ int) (client.Worker, error) {
			w, err := callee.Start(ctx, callee.Config{
				Supervisor: c.supervisor, Order: order, Device: c.device, InputBytes: c.length, ResultBytes: c.room(function),
			})
			if c.notStarted = err; err != nil {
				return client.Worker{}, err
			}
			return w.Worker(c.grace), nil
		},
	})
	return err
}

func (c *invocation) room(function *function) int {
	return function.room(int64(c.length), c.flags.slotBytes)
}

// carryOut calls the function as often as is wanted and hands the last result out.
func (c *invocation) carryOut(ctx context.Context, function *function, in *invokeInput, write func(result []byte) error) error {
	if err := c.start(ctx, function); err != nil {
		return err
	}
	n := c.flags.repeat
	c.took, c.within = make([]time.Duration, 0, n), make([]time.Duration, 0, n)
	for range n {
		r, err := c.client.CallInPlace(ctx, c.name, client.InPlace{
			InputBytes: c.length, ResultBytes: c.room(function),
			Fill: func(memory []byte) (int, error) { return c.length, in.load(memory[:c.length]) },
			Take: func(result []byte) error {
				if len(c.took) < n-1 {
					return nil
				}
				return write(result)
			},
		}, invoke.CallOptions{Timeout: c.flags.timeout})
		if err != nil {
			c.failed.Store(true)
			return c.explain(err)
		}
		c.took, c.within = append(c.took, r.Elapsed), append(c.within, r.Timing.Execution)
	}
	return nil
}

// explain is an error in words for the user.
func (c *invocation) explain(err error) error {
	failed, ok := errors.AsType[*client.Error](err)
	if !ok {
		return err // of writing
	}
	if errors.Is(err, client.ErrNoWorker) {
		return c.notStarted
	}
	if lost, ok := errors.AsType[*callee.LostError](err); ok {
		return fmt.Errorf("executor (process %d): %w", lost.PID, lost.How)
	}
	e, ok := errors.AsType[*invoke.Error](err)
	if !ok {
		return failed.Err
	}
	switch e.Status {
	case invoke.StatusFunctionError:
		return fmt.Errorf("%s: %s", c.name, e.Message)
	case invoke.StatusTooLarge:
		return fmt.Errorf("%s: %s", c.name, callee.TooLarge(e, c.moreRoom))
	case invoke.StatusDeadlineExceeded:
		return fmt.Errorf("%s: not done in time: %s; allow more with --timeout (%v), or more to the package (rfaas pack --time-limit)", c.name, e.Message, c.flags.timeout)
	}
	return fmt.Errorf("%s: %v: %s", c.name, e.Status, e.Message)
}

// invokeEndGrace is how long an executor may take to end by itself.
const invokeEndGrace = 2 * time.Second

// grace is how long the executor has to end by itself.
func (c *invocation) grace() time.Duration {
	if c.failed.Load() {
		return 0
	}
	return invokeEndGrace
}

// end closes the connection and ends what was started.
func (c *invocation) end() {
	if c.client != nil {
		c.client.Close()
	}
	if c.supervisor != nil {
		c.supervisor.Close(0)
	}
	if c.device != nil {
		if err := c.device.Close(); err != nil {
			c.program.logging.log.Warn("the transport does not close in good order", "reason", err)
		}
	}
}

// summary says how long calls took.
func (c *invocation) summary() string {
	return fmt.Sprintf("%d calls: %s; in the function: %s", len(c.took), percentiles(c.took), percentiles(c.within))
}

// percentiles sums durations up. It sorts them.
func percentiles(all []time.Duration) string {
	slices.Sort(all)
	at := func(thousandths int) time.Duration { return all[(len(all)-1)*thousandths/1000] }
	return fmt.Sprintf("min %v, p50 %v, p99 %v, max %v", at(0), at(500), at(990), at(1000))
}
