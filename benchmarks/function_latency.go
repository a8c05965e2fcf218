package benchmarks

import (
	"context"
	"runtime"
	"slices"

	"github.com/rfaas-go/rfaas/invoke/executor"
)

// functionRounds is in how many rounds functions are measured beside each other:
// in each they take turns, so that what the machine does meanwhile happens to all.
const functionRounds = 7

// functionLatencies measures round trips of calls of each function. Every turn is
// in an executor of its own: others that poll would take its processor.
func functionLatencies(ctx context.Context, r *runner, p params) ([]Result, error) {
	core, err := r.place(&p, true)
	if err != nil {
		return nil, err
	}
	device, err := r.openForExecutors()
	if err != nil {
		return nil, err
	}
	defer device.Close()
	var latencies []*functionLatency
	for i := range r.config.Functions {
		f := &r.config.Functions[i]
		supervisor, err := f.supervise(p, 0)
		if err != nil {
			return nil, err
		}
		defer supervisor.Close(0)
		latencies = append(latencies, &functionLatency{subject: newSubject(r, f, device, p), supervisor: supervisor, out: newSamples()})
	}
	err = onCore(core, func() error {
		return takeTurns(min(functionRounds, p.Iterations), len(latencies), p.Iterations, func(_, i, n int) error {
			if err := latencies[i].turn(ctx, n); err != nil {
				return latencies[i].failed(ctx, err)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(latencies))
	for i, l := range latencies {
		results[i] = l.summary(&latencies[0].result)
	}
	return results, nil
}

// functionLatency is a function being measured.
type functionLatency struct {
	subject
	supervisor  *executor.Supervisor
	out         *samples // of all turns
	ns          int64    // of all turns
	allocations uint64   // of all turns
}

// turn makes n calls that count.
func (l *functionLatency) turn(ctx context.Context, n int) (err error) {
	c, _, err := l.begin(ctx, l.supervisor, l.order(l.params, l.params.PeerCPU))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = c.abort(err)
		} else {
			err = c.end(endGrace)
		}
	}()
	l.result.PeerPID = c.executor.PID()
	own := newSamples()
	if err := c.run(ctx, l.params.Warmup, own); err != nil {
		return err
	}
	own.reset()
	runtime.GC() // none should fall into the loop
	before := allocations()
	start := clock()
	err = c.run(ctx, n, own)
	l.ns += clock() - start
	l.allocations += allocations() - before
	l.out.merge(own)
	l.result.RoundP50 = append(l.result.RoundP50, own.roundTrips().P50)
	return err
}

// summary is the result of all turns. first is the function that it is compared
// with.
func (l *functionLatency) summary(first *Result) Result {
	r := l.result
	r.sum(l.out, l.params.Iterations, outcome{ns: l.ns, allocations: l.allocations})
	if first != &l.result {
		r.Beside = compare(first, &r)
	}
	return r
}

// compare takes the differences of the rounds' medians.
func compare(first, r *Result) *Difference {
	differences := make([]int64, len(r.RoundP50))
	for i := range differences {
		differences[i] = r.RoundP50[i] - first.RoundP50[i]
	}
	return &Difference{To: first.Function, Min: slices.Min(differences), P50: median(differences), Max: slices.Max(differences)}
}
