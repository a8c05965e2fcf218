package benchmarks

import "github.com/HdrHistogram/hdrhistogram-go"

// samples records round trips without allocating. Four digits make the histogram
// exact to the nanosecond up to exactBelow, for 3 MB.
type samples struct{ histogram *hdrhistogram.Histogram }

// exactBelow is where the histogram begins to round, in nanoseconds: by less
// than 1 in 10000.
const exactBelow = 1 << 15

// longestSample bounds what can be recorded, in nanoseconds; more counts as it.
const longestSample = 60e9

func newSamples() *samples {
	return &samples{hdrhistogram.New(1, longestSample, 4)}
}

// reset forgets everything. It also touches all of the histogram's memory, so
// that recording faults on no page.
func (s *samples) reset() { s.histogram.Reset() }

// add records one round trip in nanoseconds.
func (s *samples) add(ns int64) {
	// The value is within the histogram's range: there is no error.
	_ = s.histogram.RecordValue(min(max(ns, 0), longestSample))
}

// merge adds the round trips of another record.
func (s *samples) merge(other *samples) { s.histogram.Merge(other.histogram) }

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
		Min:  h.Min(),
		P50:  h.ValueAtPercentile(50),
		P99:  h.ValueAtPercentile(99),
		P999: h.ValueAtPercentile(99.9),
		Max:  h.Max(),
	}
}
