package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/callee"
	"github.com/rfaas-go/rfaas/invoke"
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
	callee     *callee.Callee
	length     int             // of the input
	failed     bool            // a call did, whose function may still run
	took       []time.Duration // by calls
	within     []time.Duration // by the function, in each of them
}

// start has an executor ready for an input of so many bytes. end has to follow,
// also when it fails.
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
		Setup:   executor.Setup{Transport: f.transport, Mode: f.mode},
		Confine: function.confinement(f.code.trust),
		Output:  c.program.meter, Logger: log.log,
	})
	if err != nil {
		return notIsolated(err)
	}
	order := function.order()
	order.Core = cores[0]
	c.callee, err = callee.Start(ctx, callee.Config{
		Supervisor: c.supervisor, Order: order, Function: c.name, Device: c.device, Mode: f.mode,
		InputBytes: c.length, ResultBytes: function.room(int64(c.length), f.slotBytes),
	})
	return err
}

// carryOut calls the function as often as is wanted and returns the last result,
// which is valid until end.
func (c *invocation) carryOut(ctx context.Context, function *function, in *invokeInput) (result []byte, err error) {
	if err := c.start(ctx, function); err != nil {
		return nil, err
	}
	if err := in.load(c.callee.Input()[:c.length]); err != nil {
		return nil, err
	}
	n := c.flags.repeat
	c.took, c.within = make([]time.Duration, 0, n), make([]time.Duration, 0, n)
	for range n {
		var t callee.Timing
		if result, t, err = c.callee.Call(ctx, c.length, c.flags.timeout); err != nil {
			c.failed = true
			return nil, c.explain(err)
		}
		c.took, c.within = append(c.took, t.Call), append(c.within, t.Execution)
	}
	return result, nil
}

// explain is an error in words for the user.
func (c *invocation) explain(err error) error {
	if errors.Is(err, invoke.ErrWorkerGone) {
		return fmt.Errorf("executor (process %d): %w", c.callee.Executor.PID(), c.callee.Explain(err))
	}
	e, ok := errors.AsType[*invoke.Error](err)
	if !ok {
		return err
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

// end closes the connection and ends what was started.
func (c *invocation) end() {
	if c.callee != nil {
		grace := invokeEndGrace
		if c.failed {
			grace = 0
		}
		c.callee.End(grace)
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
