package benchmarks

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
)

// coldStarts is the default number of rounds.
const coldStarts = 30

// How an executor is started; values of Result.Start.
const (
	StartCold  = "cold"  // nothing is there
	StartSpare = "spare" // a process is ready and takes the code
)

// What a module that has to be compiled finds; values of Result.Cache.
const (
	CacheFilled = "filled" // the module was compiled before
	CacheEmpty  = "empty"  // it was not
)

// coldStart measures the first results of each function, in turns.
func coldStart(ctx context.Context, r *runner, _ *test, p params) ([]Result, error) {
	device, err := r.openForExecutors()
	if err != nil {
		return nil, err
	}
	defer device.Close()
	var all []*firstResult
	for i := range r.config.Functions {
		f := &r.config.Functions[i]
		for spares, start := range []string{StartCold, StartSpare} {
			supervisor, err := f.supervise(p, spares)
			if err != nil {
				return nil, err
			}
			defer supervisor.Close(0)
			for _, cache := range f.caches() {
				x := &firstResult{function: f, device: device, supervisor: supervisor, spares: spares, params: p, tally: newTally(ofFunction(f, device, p), steps.sum)}
				x.result.Start, x.result.Cache = start, cache
				all = append(all, x)
			}
		}
	}
	const unmeasured = 1 // round: it fills caches
	for round := range unmeasured + p.Iterations {
		for _, x := range all {
			if err := awaitSpares(ctx, all); err != nil {
				return nil, err
			}
			if err := x.once(ctx, round >= unmeasured); err != nil {
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				return nil, fmt.Errorf("%s: %w", x.function.Label, err)
			}
		}
	}
	results := make([]Result, len(all))
	for i, x := range all {
		results[i] = x.summary()
	}
	return results, nil
}

// caches are the states of the cache of compiled code that make a difference.
func (f *Function) caches() []string {
	if f.isWasm() {
		return []string{CacheFilled, CacheEmpty}
	}
	return []string{""}
}

// spareTimeout bounds how long a spare executor may take.
const spareTimeout = 30 * time.Second

// awaitSpares waits until the spare executors are ready: the start of one would
// disturb the measurement.
func awaitSpares(ctx context.Context, all []*firstResult) error {
	deadline := time.Now().Add(spareTimeout)
	for _, x := range all {
		for x.supervisor.Spares() < x.spares {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(time.Millisecond):
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s: no spare executor was ready after %v; the log says why (--log-level warn)", x.function.Label, spareTimeout)
			}
		}
	}
	return nil
}

// firstResult is one way to a function's first result being measured.
type firstResult struct {
	function   *Function
	device     *transport.Device
	supervisor *executor.Supervisor
	spares     int // that it keeps
	params     params
	*tally
}

// once goes the way once.
func (x *firstResult) once(ctx context.Context, counts bool) error {
	o := x.function.order(x.params, executor.AnyCore)
	if x.result.Cache == CacheEmpty {
		code, err := unseen(o.Code)
		if err != nil {
			return err
		}
		defer code.Close()
		o.Code, o.Compiled = code, nil
	}
	c, took, err := begin(ctx, x.device, x.supervisor, o, x.params)
	if err != nil {
		return err
	}
	x.result.PeerPID = c.executor.PID()
	if counts {
		x.add(took)
	}
	return c.end(endGrace)
}

// unseen is a WebAssembly module like this one that nobody has compiled before: it
// has a section more, which means nothing.
func unseen(code *os.File) (*os.File, error) {
	mark := newKey()
	return executor.SealedCode(code.Name(), withSection(code, "benchmark", mark[:]))
}
