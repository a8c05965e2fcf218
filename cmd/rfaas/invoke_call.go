package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/local"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/transport"
)

// invocation is a function to be called from the command line.
type invocation struct {
	flags    *invokeFlags
	name     string // the function's
	moreRoom string // see function.moreRoom
	bare     bool   // see function.bare
	program  *program
	device   *transport.Device
	from     *leaser
	pool     *alloc.Pool     // of one worker
	length   int             // of the input
	took     []time.Duration // by calls
	within   []time.Duration // by the function, in each of them
}

// start has an executor made for an input of so many bytes. end has to follow, also
// when it fails.
func (c *invocation) start(ctx context.Context, function *function) (err error) {
	f := c.flags
	if c.device, err = openForWorkers(f.transport); err != nil {
		return err
	}
	source := &runFlags{workers: 1, mode: f.mode, cluster: f.cluster, trust: f.trust, transport: f.transport, code: f.code}
	note := ""
	if c.from, _, note, err = source.source(ctx, c.program, function, c.device, 1); err != nil {
		return err
	}
	if note != "" && f.code.threads > 1 { // of one thread it is said by run, which has a summary
		fmt.Fprintln(c.program.meter, note)
	}
	o := alloc.Order{Slots: 1, Cores: f.code.threads, Mode: f.mode, Calls: client.Config{Mode: f.mode, MaxDials: 1, Attempts: 1}}
	o.SlotBytes, o.PayloadBytes = local.Room(c.length, c.room(function))
	c.pool, err = c.from.lease(ctx, o)
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
		r, err := c.pool.CallInPlace(ctx, c.name, client.InPlace{
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
		why := c.pool.Stats().Lanes[0].Err
		if notStarted, ok := errors.AsType[*alloc.StartError](why); ok {
			return errors.New(notStarted.Reason)
		}
		return why
	}
	if lost, ok := errors.AsType[*alloc.LostError](err); ok {
		if lost.Process == 0 {
			return fmt.Errorf("the worker at node %s was lost: %s", lost.Node, local.How(lost, c.bare))
		}
		return fmt.Errorf("executor (process %d): %s", lost.Process, local.How(lost, c.bare))
	}
	e, ok := errors.AsType[*invoke.Error](err)
	if !ok {
		return failed.Err
	}
	switch e.Status {
	case invoke.StatusFunctionError:
		return fmt.Errorf("%s: %s", c.name, e.Message)
	case invoke.StatusTooLarge:
		return fmt.Errorf("%s: %s", c.name, local.TooLarge(e, c.moreRoom))
	case invoke.StatusDeadlineExceeded:
		return fmt.Errorf("%s: %s", c.name, local.Late(e, c.flags.timeout, c.bare))
	}
	return fmt.Errorf("%s: %v: %s", c.name, e.Status, e.Message)
}

// end closes the connection and ends what was started. It may be called twice.
func (c *invocation) end() {
	if c.pool != nil {
		c.pool.Close()
	}
	if c.from != nil {
		c.from.close()
	}
	if c.device != nil {
		if err := c.device.Close(); err != nil {
			c.program.logging.log.Warn("the transport cannot be closed", "reason", err)
		}
	}
	c.pool, c.from, c.device = nil, nil, nil
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
