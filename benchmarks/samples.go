package benchmarks

import (
	"context"
	"math"
	"math/bits"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// samples records round trips without allocating. Four digits make the histogram
// exact to the nanosecond up to exactBelow, for 3 MB.
type samples struct {
	histogram *hdrhistogram.Histogram
	sum       int64 // of all
}

// exactBelow is where the histogram begins to round, in nanoseconds: by less
// than 1 in 10000.
const exactBelow = 1 << 15

// longestSample bounds what can be recorded, in nanoseconds; more counts as it.
const longestSample = 60e9

func newSamples() *samples {
	return &samples{histogram: hdrhistogram.New(1, longestSample, 4)}
}

// reset forgets everything. It also touches all of the histogram's memory, so
// that recording faults on no page.
func (s *samples) reset() {
	s.histogram.Reset()
	s.sum = 0
}

// add records one round trip in nanoseconds.
func (s *samples) add(ns int64) {
	ns = min(max(ns, 0), longestSample)
	_ = s.histogram.RecordValue(ns) // it is within the histogram's range: there is no error
	s.sum += ns
}

// merge adds the round trips of another record.
func (s *samples) merge(other *samples) {
	s.histogram.Merge(other.histogram)
	s.sum += other.sum
}

// Bar counts the samples between From and To nanoseconds, both included.
type Bar struct{ From, To, Count int64 }

// bars lists what was recorded, in ascending order, without empty bars.
func (s *samples) bars() []Bar {
	var bars []Bar
	if s.histogram.TotalCount() == 0 {
		return nil
	}
	for _, b := range s.histogram.Distribution() {
		if b.Count > 0 {
			bars = append(bars, Bar{b.From, b.To, b.Count})
		}
	}
	return bars
}

// roundTrips sums up. A percentile is the smallest recorded value that so many
// samples are not above.
func (s *samples) roundTrips() RoundTrips {
	h := s.histogram
	if h.TotalCount() == 0 {
		return RoundTrips{}
	}
	return RoundTrips{
		Min:   h.Min(),
		P50:   h.ValueAtPercentile(50),
		Mean:  math.Round(10*float64(s.sum)/float64(h.TotalCount())) / 10,
		P99:   h.ValueAtPercentile(99),
		P999:  h.ValueAtPercentile(99.9),
		P9999: h.ValueAtPercentile(99.99),
		Max:   h.Max(),
	}
}

// epoch is where clock counts from.
var epoch = time.Now()

// clock reads the monotonic clock, in nanoseconds. It is one reading of the
// vDSO; time.Now would be two.
func clock() int64 { return int64(time.Since(epoch)) }

// stopwatch times round trips: the end of one is the beginning of the next one.
type stopwatch struct {
	out  *samples
	last int64 // clock at the end of the last one
	took int64 // by it; -1 before there is one
}

func startStopwatch(out *samples) stopwatch { return stopwatch{out, clock(), -1} }

// lap ends a round trip.
func (w *stopwatch) lap() {
	now := clock()
	w.took, w.last = now-w.last, now
}

// record adds the last round trip to the samples. It is for the time in which the
// next one is under way.
func (w *stopwatch) record() {
	if w.took >= 0 {
		w.out.add(w.took)
	}
}

// pace is how often a loop looks at its context. Operations that never have to
// wait would see it nowhere else.
type pace struct{ mask int }

// What a loop moves, and how often it goes round at most, between two looks:
// a small part of a second.
const (
	bytesPerLook = 64 << 20
	maxPerLook   = 1024
)

func newPace(size int) pace {
	n := clamp(bytesPerLook/max(size, 1), 1, maxPerLook)
	return pace{1<<(bits.Len(uint(n))-1) - 1}
}

// ended is why the context ended, or nil; on step number i of a loop.
func (p pace) ended(ctx context.Context, i int) error {
	if i&p.mask == 0 && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
