package benchmarks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rfaas-go/rfaas/invoke/executor"
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
func coldStart(ctx context.Context, r *runner, p params) ([]Result, error) {
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
				x := &firstResult{newTally(newSubject(r, f, device, p), steps.sum), supervisor, spares}
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
				return nil, x.failed(ctx, err)
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
				return fmt.Errorf("%s: no spare executor was ready after %v; the log says why (--log-level warn)", x.Label, spareTimeout)
			}
		}
	}
	return nil
}

// firstResult is one way to a function's first result being measured.
type firstResult struct {
	*tally
	supervisor *executor.Supervisor
	spares     int // that it keeps
}

// once goes the way once.
func (x *firstResult) once(ctx context.Context, counts bool) error {
	o := x.order(x.params, executor.AnyCore)
	if x.result.Cache == CacheEmpty {
		code, err := unseen(o.Code)
		if err != nil {
			return err
		}
		defer code.Close()
		o.Code, o.Compiled = code, nil
	}
	c, took, err := x.begin(ctx, x.supervisor, o)
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

// maxShortLength is the longest thing whose length WebAssembly writes in one byte.
const maxShortLength = 127

// withSection reads a WebAssembly module and then one more custom section of it.
// Name and content are short: maxShortLength bytes with the byte before the name.
func withSection(module io.ReaderAt, name string, content []byte) io.Reader {
	const custom = 0 // the section's id
	length := 1 + len(name) + len(content)
	if length > maxShortLength {
		panic("benchmarks: a section that is too long")
	}
	section := append([]byte{custom, byte(length), byte(len(name))}, name...)
	return io.MultiReader(io.NewSectionReader(module, 0, 1<<62), bytes.NewReader(append(section, content...)))
}

// steps is how long the parts of the way to a first result took, and of the end of a
// lease, in nanoseconds. Not every way has all of them.
type steps struct{ lease, start, connect, call, fence int64 }

func (s steps) untilResult() int64 { return s.lease + s.start + s.connect + s.call }
func (s steps) sum() int64         { return s.untilResult() + s.fence }

// tally collects what makes a Result with Steps.
type tally struct {
	subject
	of   func(steps) int64 // the time that counts
	out  *samples
	took []steps
}

func newTally(s subject, of func(steps) int64) *tally {
	return &tally{subject: s, of: of, out: newSamples()}
}

func (t *tally) add(took steps) {
	t.out.add(t.of(took))
	t.took = append(t.took, took)
}

// summary is the result of all rounds.
func (t *tally) summary() Result {
	r, ns := t.result, int64(0)
	for _, took := range t.took {
		ns += t.of(took)
	}
	r.sum(t.out, len(t.took), outcome{ns: ns})
	r.Steps = &Steps{
		Lease:   t.median(func(s steps) int64 { return s.lease }),
		Start:   t.median(func(s steps) int64 { return s.start }),
		Connect: t.median(func(s steps) int64 { return s.connect }),
		Call:    t.median(func(s steps) int64 { return s.call }),
		Fence:   t.median(func(s steps) int64 { return s.fence }),
	}
	return r
}

func (t *tally) median(of func(steps) int64) int64 {
	all := make([]int64, len(t.took))
	for i, took := range t.took {
		all[i] = of(took)
	}
	return median(all)
}
