package job

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
	"github.com/rfaas-go/rfaas/invoke"
)

// Config says how to run a plan.
type Config struct {
	Function string // to call
	// Lease gets workers; what the order says of the package is the caller's to add.
	Lease func(ctx context.Context, o alloc.Order) (*alloc.Pool, error)
	// Process is the process of a worker, and its processors; may be nil.
	Process func(w alloc.Worker) (pid int, cores []int)
	// InputBytes and ResultBytes are what there is room for.
	InputBytes, ResultBytes int
	MoreRoom                string // how the user gives a result more room
	Bare                    bool   // see local.How

	Workers int
	Threads int // of each worker, and its cores: 1 if 0
	Mode    invoke.Mode
	Timeout time.Duration // of a call; 0 for none
	Stdout  io.Writer     // gets the results of a plan without a directory
	Log     *slog.Logger
	// OnOutcome, if set, is called after each input; never twice at once.
	OnOutcome func(Outcome)
}

// run is a plan being carried out.
type run struct {
	cfg    Config
	plan   *Plan
	abort  context.Context
	source *source
	sink   sink
	crew   *crew

	mu       sync.Mutex
	outcomes map[*Input]Outcome
	ended    time.Time // of the last outcome
	cost     accounting.Usage
	claimed  bool
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
	workers := r.work()
	if r.ended.IsZero() {
		r.ended = time.Now()
	}
	return r.report(began, workers)
}

// work tries the inputs, one for each worker at a time, and tells what the workers
// did.
func (r *run) work() (workers []WorkerReport) {
	n := min(r.cfg.Workers, len(r.source.inputs))
	if n == 0 || r.source.stop.Err() != nil {
		return nil
	}
	var err error
	if r.crew, err = hire(r.abort, &r.cfg, n); err != nil {
		r.source.halt(err)
		return nil
	}
	var callers sync.WaitGroup
	for range n {
		callers.Go(func() {
			for r.abort.Err() == nil {
				in := r.source.take()
				if in == nil {
					return
				}
				o, tried := r.process(in)
				if !tried { // nor will others be
					return
				}
				r.note(o)
			}
		})
	}
	callers.Wait()
	workers, r.cost, r.claimed = r.crew.dismiss()
	return workers
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
		r.source.halt(fmt.Errorf("results cannot be written: %w", atomicfile.WithoutPath(err)))
	}
	return err
}

func (r *run) report(began time.Time, workers []WorkerReport) *Report {
	report := &Report{Function: r.cfg.Function, Directory: r.plan.Directory, Workers: workers, Elapsed: r.ended.Sub(began), Stopped: r.source.halted(), Cost: r.cost, Claimed: r.claimed}
	for _, in := range r.plan.Inputs {
		o, tried := r.outcomes[in]
		if !tried {
			o = Outcome{Input: in, State: NotTried}
		}
		report.Outcomes = append(report.Outcomes, o)
	}
	for _, w := range workers {
		if w.Lost == nil || r.abort.Err() != nil {
			continue
		}
		if report.Stopped == nil {
			report.Stopped = w.Lost
		}
		if report.Count(NotTried) == 0 { // of the others it is the reason
			report.Notes = append(report.Notes, w.Lost.Error())
		}
	}
	return report
}
