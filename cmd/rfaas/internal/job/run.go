package job

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/callee"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
)

// Config says how to run a plan.
type Config struct {
	Function   string // to call
	Supervisor *executor.Supervisor
	Order      executor.Order // of each worker, on a core of Cores
	// InputBytes and ResultBytes are what there is room for.
	InputBytes, ResultBytes int
	MoreRoom                string // how the user gives a result more room

	Device  *transport.Device
	Cores   []int // of the workers, one each; executor.AnyCore leaves it open
	Mode    invoke.Mode
	Timeout time.Duration // of a call; 0 for none
	Stdout  io.Writer     // gets the results of a plan without a directory
	Log     *slog.Logger
	// OnOutcome, if set, is called after each input; never twice at once.
	OnOutcome func(Outcome)
}

// hire starts a worker on a processor.
func (c *Config) hire(ctx context.Context, core int) (*callee.Callee, error) {
	order := c.Order
	order.Core = core
	return callee.Start(ctx, callee.Config{
		Supervisor: c.Supervisor, Order: order, Function: c.Function, Device: c.Device, Mode: c.Mode,
		InputBytes: c.InputBytes, ResultBytes: c.ResultBytes,
	})
}

// run is a plan being carried out.
type run struct {
	cfg    Config
	plan   *Plan
	abort  context.Context
	source *source
	sink   sink

	mu       sync.Mutex
	outcomes map[*Input]Outcome
	ended    time.Time // of the last outcome
}

// Run calls the function with all inputs of the plan. When stop ends no more
// inputs are begun; when abort ends, those that are running are given up. It
// returns when all workers that it started have ended.
func Run(stop, abort context.Context, plan *Plan, cfg Config) *Report {
	r := &run{cfg: cfg, plan: plan, abort: abort, outcomes: map[*Input]Outcome{}}
	r.source = &source{stop: stop}
	r.sink = directory{}
	if plan.Directory == "" {
		r.sink = newStream(cfg.Stdout)
	}
	began := time.Now()
	for _, in := range plan.Inputs {
		if in.err != nil {
			r.note(Outcome{Input: in, State: Failed, Reason: in.err.Error()})
			continue
		}
		in.turn = len(r.source.inputs)
		r.source.inputs = append(r.source.inputs, in)
	}
	lanes := r.lanes()
	var working sync.WaitGroup
	for _, l := range lanes {
		working.Go(l.work)
	}
	working.Wait()
	if r.ended.IsZero() {
		r.ended = time.Now()
	}
	return r.report(began, lanes)
}

// lanes makes a lane for each worker that there are inputs for.
func (r *run) lanes() []*lane {
	var lanes []*lane
	for i, core := range r.cfg.Cores[:min(len(r.cfg.Cores), len(r.source.inputs))] {
		lanes = append(lanes, &lane{job: r, core: core, report: WorkerReport{Number: i + 1, Core: core}})
	}
	return lanes
}

// note records what became of an input.
func (r *run) note(o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes[o.Input] = o
	r.ended = time.Now()
	if r.cfg.OnOutcome != nil {
		r.cfg.OnOutcome(o)
	}
}

// deliver hands a result over. A failure that will come again ends the run.
func (r *run) deliver(in *Input, result []byte) error {
	err := r.sink.deliver(in, result)
	if err != nil && final(err) {
		r.source.halt(fmt.Errorf("results cannot be written: %w", cause(err)))
	}
	return err
}

// unstaffed ends a lane that has no worker. The others go on; if there are none,
// the report says why inputs were not tried.
func (r *run) unstaffed(l *lane, err error) {
	if r.abort.Err() == nil {
		r.cfg.Log.Error("going on without a worker", "worker", l.report.Number, "reason", err)
	}
	l.report.Lost = err
}

func (r *run) report(began time.Time, lanes []*lane) *Report {
	report := &Report{Function: r.cfg.Function, Directory: r.plan.Directory, Elapsed: r.ended.Sub(began), Stopped: r.source.halted()}
	for _, in := range r.plan.Inputs {
		o, tried := r.outcomes[in]
		if !tried {
			o = Outcome{Input: in, State: NotTried}
		}
		report.Outcomes = append(report.Outcomes, o)
	}
	for _, l := range lanes {
		report.Workers = append(report.Workers, l.report)
		if report.Stopped == nil && r.abort.Err() == nil {
			report.Stopped = l.report.Lost
		}
	}
	return report
}
