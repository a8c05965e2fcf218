package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
)

// invocation is a function in an executor, and the connection to it.
type invocation struct {
	flags      *invokeFlags
	name       string // the function's
	program    *program
	device     *transport.Device
	supervisor *executor.Supervisor
	executor   *executor.Executor
	client     *invoke.Client
	handle     *invoke.Handle
	buffer     *invoke.Buffer
	length     int             // of the input
	failed     bool            // a call did, whose function may still run
	took       []time.Duration // by calls
	within     []time.Duration // by the function, in each of them
}

// invokeSetUpTimeout bounds the connection's set-up.
const invokeSetUpTimeout = 30 * time.Second

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
		Confine: function.confinement(f.trustCode),
		Output:  c.program.meter, Logger: log.log,
	})
	if err != nil {
		return fmt.Errorf("%w; --trust-code runs the function without isolation", err)
	}
	room := f.room(function, int64(c.length))
	order := function.order(0)
	order.Assignment.SlotBytes = slotsFor(int64(c.length), room, cmp.Or(order.Assignment.MemoryBytes, defaultBeside))
	order.Core = cores[0]
	if c.executor, err = c.supervisor.Start(ctx, order); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, invokeSetUpTimeout)
	defer cancel()
	if err = c.connect(ctx, order.Assignment.SlotBytes, room); err != nil {
		return c.explain(err)
	}
	return nil
}

// defaultRoom is what a result may take at least. What is not used costs next to
// nothing.
const defaultRoom = 64 << 20

// room is how long the result for an input of n bytes may be.
func (f *invokeFlags) room(function *function, n int64) int64 {
	if f.slotBytes > 0 {
		return int64(f.slotBytes)
	}
	return min(max(function.resultBytes(n), n, defaultRoom), maxSlotBytes)
}

const (
	// invokeSlotBytes is the largest slot: what is longer goes beside it.
	invokeSlotBytes = 1 << 20
	// defaultBeside is how much an executor takes beside its slots, input and result
	// together, when its memory has no limit.
	defaultBeside = 1 << 30
)

// slotsFor is the size of slots for an input and a result, of an executor that
// takes so many bytes beside them: when that is not enough they go into slots.
func slotsFor(input, result, beside int64) int {
	longest := (max(input, result) + pageBytes - 1) &^ (pageBytes - 1)
	if input+result > beside {
		return int(longest)
	}
	return int(min(longest, invokeSlotBytes))
}

func (c *invocation) connect(ctx context.Context, slotBytes int, room int64) (err error) {
	c.client, err = c.executor.Dial(ctx, c.device, invoke.ClientConfig{Slots: 1, SlotBytes: slotBytes, Mode: c.flags.mode})
	if err != nil {
		return err
	}
	if c.handle, err = c.client.Function(ctx, c.name); err != nil {
		return err
	}
	c.buffer, err = c.client.NewBuffer(c.length, int(room))
	return err
}

// carryOut calls the function as often as is wanted and returns the last result,
// which is valid until end.
func (c *invocation) carryOut(ctx context.Context, function *function, in *invokeInput) (result []byte, err error) {
	if err := c.start(ctx, function); err != nil {
		return nil, err
	}
	if err := in.load(c.buffer.In()[:c.length]); err != nil {
		return nil, err
	}
	n := c.flags.repeat
	c.took, c.within = make([]time.Duration, 0, n), make([]time.Duration, 0, n)
	for range n {
		if result, err = c.call(ctx); err != nil {
			c.failed = true
			return nil, c.explain(err)
		}
	}
	return result, nil
}

// invokeOvertime is how much longer than the worker the caller waits for the end
// of a function whose time is up.
const invokeOvertime = 250 * time.Millisecond

func (c *invocation) call(ctx context.Context) (result []byte, err error) {
	sending, waiting := ctx, ctx
	if timeout := c.flags.timeout; timeout > 0 {
		var cancel context.CancelFunc
		sending, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
		waiting, cancel = context.WithTimeout(ctx, timeout+invokeOvertime)
		defer cancel()
	}
	begin := time.Now()
	if err = c.buffer.Go(sending, c.handle, c.length); err == nil {
		result, err = c.buffer.Wait(waiting)
	}
	if err != nil {
		return nil, err
	}
	c.took = append(c.took, time.Since(begin))
	if t, ok := c.client.Timing(); ok {
		c.within = append(c.within, t.Execution)
	}
	return result, nil
}

// explain is an error in words for the user.
func (c *invocation) explain(err error) error {
	if errors.Is(err, invoke.ErrWorkerGone) || c.client == nil {
		return fmt.Errorf("executor process %d: %w", c.executor.PID(), c.cause(err))
	}
	e, ok := errors.AsType[*invoke.Error](err)
	if !ok {
		return err
	}
	switch e.Status {
	case invoke.StatusFunctionError:
		return fmt.Errorf("%s: %s", c.name, e.Message)
	case invoke.StatusTooLarge:
		return fmt.Errorf("%s: too large: %s; allow more with --slot-bytes, or more memory to the package (rfaas pack --memory)", c.name, e.Message)
	case invoke.StatusDeadlineExceeded:
		return fmt.Errorf("%s: not done in time: %s; allow more with --timeout (%v), or more to the package (rfaas pack --time-limit)", c.name, e.Message, c.flags.timeout)
	}
	return fmt.Errorf("%s: %v: %s", c.name, e.Status, e.Message)
}

// cause is how the executor ended, when that is why there was an error.
func (c *invocation) cause(err error) error {
	if c.client != nil { // it was lost
		ctx, cancel := context.WithTimeout(context.Background(), invokeEndGrace)
		defer cancel()
		return errors.New(c.executor.Lost(ctx).String())
	}
	select {
	case <-c.executor.Ended():
		fate, _ := c.executor.Fate()
		return errors.New(fate.String())
	case <-time.After(invokeOvertime):
		return err
	}
}

// invokeEndGrace is how long an executor may take to end by itself.
const invokeEndGrace = 2 * time.Second

// end closes the connection and ends what was started.
func (c *invocation) end() {
	if c.client != nil {
		c.client.Close()
	}
	if c.supervisor != nil {
		grace := invokeEndGrace
		if c.failed {
			grace = 0
		}
		c.supervisor.Close(grace)
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
