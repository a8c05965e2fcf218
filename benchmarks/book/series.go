package main

import (
	"context"
	"math"

	"github.com/rfaas-go/rfaas/benchmarks"
)

// series is one of the things that are compared in a section.
type series interface {
	name() string
	kind() kind
	// find says which version there is, or why there is none: a *missing.
	find(ctx context.Context) (version string, err error)
	// command is what is run for a setting, as text.
	command(s setting) string
	// measure does it once.
	measure(ctx context.Context, s setting) (figure, error)
	// note is what to know when its figures are compared; may be empty.
	note() string
}

type kind string

const (
	own    kind = "this project"
	medium kind = "bare medium"
	peer   kind = "peer"
)

// missing is why a series cannot be measured here.
type missing struct{ what string }

func (m *missing) Error() string { return "missing: " + m.what }

// setting is one of a section's columns: what each series is asked to do.
type setting struct {
	label      string
	x          float64 // on the plot's axis
	size       int     // bytes of a message
	iterations int     // measured; a tenth of it comes before, unmeasured
	depth      int     // in flight
	workers    int
	mode       string // of ours; empty for the test's own
}

// warmup is how many operations come before those that are measured: the same as in
// package benchmarks.
func (s setting) warmup() int { return min(max(s.iterations/10, 1), 10_000) }

// bar counts the samples in a range of nanoseconds.
type bar = benchmarks.Bar

// figure is what one measurement gave.
type figure struct {
	value float64          // in the section's unit; of round trips the median
	bars  []benchmarks.Bar // every sample in ascending order, from programs that tell
}

// percentile is the smallest sample that so large a share is not above, in nanoseconds;
// NaN without samples.
func (f figure) percentile(share float64) float64 {
	total := int64(0)
	for _, b := range f.bars {
		total += b.Count
	}
	wanted, seen := int64(math.Ceil(share*float64(total)-1e-6)), int64(0)
	for _, b := range f.bars {
		if seen += b.Count; seen >= wanted {
			return float64(b.To)
		}
	}
	return math.NaN()
}

// ofSamples is the figure of a latency test.
func ofSamples(bars []benchmarks.Bar) figure {
	f := figure{bars: bars}
	f.value = f.percentile(0.5)
	return f
}

// about is the part of a series that only says something.
type about struct {
	label   string
	of      kind
	remarks string
}

func (a about) name() string { return a.label }
func (a about) kind() kind   { return a.of }
func (a about) note() string { return a.remarks }
