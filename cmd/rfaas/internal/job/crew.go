package job

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/local"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/executor"
)

// crew are the workers of a run.
type crew struct {
	pool *alloc.Pool

	mu      sync.Mutex
	members []WorkerReport // as far as they are known
}

const (
	// maxAttempts bounds how many workers an input may cost.
	maxAttempts = 3
	// maxStarts bounds how many workers may fail in a row before they have begun
	// anything.
	maxStarts = 5
	// startPause is how long to wait after a failed start; it doubles.
	startPause = 50 * time.Millisecond
)

// hire leases workers.
func hire(ctx context.Context, cfg *Config, workers int) (*crew, error) {
	c := &crew{members: make([]WorkerReport, workers)}
	for i := range c.members {
		c.members[i] = WorkerReport{Number: i + 1, Core: executor.AnyCore}
	}
	o := alloc.Order{
		Workers: workers, AtLeast: 1, Cores: cfg.Threads, Slots: 1, Mode: cfg.Mode,
		Calls: client.Config{
			Mode: cfg.Mode, MaxDials: maxStarts, BackoffMin: startPause, Attempts: maxAttempts, Logger: cfg.Log,
			Overtime: time.Nanosecond, // a worker that overruns a timeout is replaced
		},
		OnWorker: func(lane int, w alloc.Worker) { c.seat(lane, w, cfg.Process) },
	}
	o.SlotBytes, o.PayloadBytes = local.Room(cfg.InputBytes, cfg.ResultBytes)
	var err error
	if c.pool, err = cfg.Lease(ctx, o); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = c.members[:len(c.pool.Stats().Lanes)]
	return c, nil
}

// seat notes the worker that a lane has got.
func (c *crew) seat(lane int, w alloc.Worker, process func(alloc.Worker) (int, []int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := &c.members[lane]
	if m.Node != "" {
		m.Replaced++
	}
	m.Node = w.Node
	if process == nil {
		return
	}
	pid, cores := process(w)
	if m.PID = pid; len(cores) > 0 {
		m.Core = cores[0]
	}
}

// dismiss gives the workers back, and tells what each did.
func (c *crew) dismiss() (reports []WorkerReport, cost accounting.Usage, claimed bool) {
	c.pool.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	cost, claimed = c.pool.Usage()
	for i, lane := range c.pool.Stats().Lanes {
		r := c.members[i]
		r.Calls, r.Busy = int(lane.Calls), lane.Busy
		if lane.GivenUp {
			why := lane.Err
			if failed, ok := errors.AsType[*alloc.StartError](why); ok {
				why = errors.New(failed.Reason)
			}
			r.Lost = fmt.Errorf("worker %d: %d starts failed in a row, the last one: %w", r.Number, maxStarts, why)
		}
		reports = append(reports, r)
	}
	return reports, cost, claimed
}

func coreName(core int) string {
	if core == executor.AnyCore {
		return "any"
	}
	return fmt.Sprint(core)
}
