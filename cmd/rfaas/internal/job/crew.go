package job

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/callee"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/executor"
)

// crew are the workers of a run, each on a core of its own.
type crew struct {
	cfg     *Config
	client  *client.Client
	members []*member
	// dismissed is set when there are no more inputs: workers may end by themselves.
	dismissed atomic.Bool
}

// member is one worker, and those that replace it.
type member struct {
	number, core int

	mu       sync.Mutex
	pid      int   // of the last
	replaced int   // how often
	failures int   // of starts, in a row
	failure  error // the last
}

const (
	// maxAttempts bounds how many workers an input may cost.
	maxAttempts = 3
	// maxStarts bounds how many workers may fail in a row before they have begun
	// anything.
	maxStarts = 5
	// startPause is how long to wait after a failed start; it doubles.
	startPause = 50 * time.Millisecond
	// endGrace is how long an executor may take to end by itself.
	endGrace = 2 * time.Second
)

// hire starts workers on cores.
func hire(cfg *Config, cores []int) (*crew, error) {
	c := &crew{cfg: cfg}
	for i, core := range cores {
		c.members = append(c.members, &member{number: i + 1, core: core})
	}
	var err error
	c.client, err = client.New(client.Config{
		Lanes: len(cores), Dial: c.start, Mode: cfg.Mode,
		MaxDials: maxStarts, BackoffMin: startPause, Attempts: maxAttempts,
		Overtime: time.Nanosecond, // who goes on after its time is up is replaced
	})
	return c, err
}

// start starts a worker, in place of one that was lost.
func (c *crew) start(ctx context.Context, lane int) (client.Worker, error) {
	m := c.members[lane]
	order := c.cfg.Order
	order.Cores, order.Assignment.Mode = executor.On(m.core), c.cfg.Mode
	w, err := callee.Start(ctx, callee.Config{
		Supervisor: c.cfg.Supervisor, Order: order, Device: c.cfg.Device, InputBytes: c.cfg.InputBytes, ResultBytes: c.cfg.ResultBytes,
	})
	if ctx.Err() != nil && err != nil {
		return client.Worker{}, err // nobody wants it any more
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.failures, m.failure = m.failures+1, err
		c.cfg.Log.Warn("worker failed to start", "worker", m.number, "reason", err)
		if m.failures == maxStarts {
			c.cfg.Log.Error("going on without a worker", "worker", m.number, "reason", err)
		}
		return client.Worker{}, err
	}
	if m.pid != 0 {
		m.replaced++
	}
	m.pid, m.failures = w.Executor.PID(), 0
	c.cfg.Log.Info("worker started", "worker", m.number, "process", m.pid, "core", coreName(m.core))
	worker := w.Worker(c.grace)
	worker.Fate = func(context.Context) error {
		loss := w.Fate()
		c.cfg.Log.Warn("worker lost", "worker", m.number, "process", loss.PID, "because", loss.How)
		return loss
	}
	return worker, nil
}

// grace is how long a worker has to end by itself.
func (c *crew) grace() time.Duration {
	if c.dismissed.Load() {
		return endGrace
	}
	return 0
}

// dismiss ends the workers, at once or when they are done, and tells what each did.
func (c *crew) dismiss(atOnce bool) (reports []WorkerReport) {
	c.dismissed.Store(!atOnce)
	c.client.Close()
	for i, lane := range c.client.Stats().Lanes {
		m := c.members[i]
		m.mu.Lock()
		r := WorkerReport{Number: m.number, Core: m.core, PID: m.pid, Replaced: m.replaced, Calls: int(lane.Calls), Busy: lane.Busy}
		if lane.GivenUp {
			r.Lost = fmt.Errorf("worker %d: %d starts failed in a row, the last one: %w", m.number, m.failures, m.failure)
		}
		m.mu.Unlock()
		reports = append(reports, r)
	}
	return reports
}

func coreName(core int) string {
	if core == executor.AnyCore {
		return "any"
	}
	return fmt.Sprint(core)
}
