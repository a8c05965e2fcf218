package benchmarks

import "slices"

// steps is how long the parts of the way to a first result took, and of the end of a
// lease, in nanoseconds. Not every way has all of them.
type steps struct{ lease, start, connect, call, fence int64 }

func (s steps) untilResult() int64 { return s.lease + s.start + s.connect + s.call }
func (s steps) sum() int64         { return s.untilResult() + s.fence }

// tally collects what makes a Result with Steps.
type tally struct {
	result Result
	of     func(steps) int64 // the time that counts
	out    *samples
	took   []steps
}

func newTally(result Result, of func(steps) int64) *tally {
	return &tally{result: result, of: of, out: newSamples()}
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
	n := float64(len(t.took))
	r.RTT, r.distribution = t.out.roundTrips(), t.out.bars()
	r.OpsPerSecond, r.BytesPerSecond = rate(n, ns), rate(n*float64(r.SizeBytes), ns)
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
	slices.Sort(all)
	last := len(all) - 1
	return (all[last/2] + all[(last+1)/2]) / 2
}
