package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, c := range map[string]struct {
		values []float64
		want   spread
		none   bool
	}{
		"one":           {values: []float64{7}, want: spread{7, 7, 7}},
		"odd":           {values: []float64{9, 1, 4}, want: spread{4, 1, 9}},
		"even":          {values: []float64{8, 1, 4, 2}, want: spread{3, 1, 8}},
		"some failed":   {values: []float64{nan, 5, nan, 3, 4}, want: spread{4, 3, 5}},
		"nothing":       {none: true},
		"all failed":    {values: []float64{nan, nan}, none: true},
		"order is kept": {values: []float64{3, 2, 1}, want: spread{2, 1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := slices.Clone(c.values)
			got, ok := spreadOf(c.values)
			require.Equal(t, !c.none, ok)
			require.Equal(t, c.want, got)
			if !slices.ContainsFunc(before, math.IsNaN) {
				require.Equal(t, before, c.values)
			}
		})
	}
}

// A ratio is of figures of the same round, whatever the medians are.
func TestRatios(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, c := range map[string]struct {
		values, base []float64
		want         spread
		none         bool
	}{
		"by round":          {values: []float64{10, 40, 90}, base: []float64{10, 20, 30}, want: spread{2, 1, 3}},
		"not of medians":    {values: []float64{1, 2, 100}, base: []float64{1, 100, 2}, want: spread{1, 0.02, 50}},
		"rounds in common":  {values: []float64{nan, 4, 6}, base: []float64{1, nan, 2}, want: spread{3, 3, 3}},
		"none in common":    {values: []float64{nan, 4}, base: []float64{1, nan}, none: true},
		"nothing to divide": {values: []float64{1}, base: []float64{0}, none: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := spreadOf(ratios(c.values, c.base))
			require.Equal(t, !c.none, ok)
			require.Equal(t, c.want, got)
		})
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{0, 1, 2, 3}, order(4, 0))
	require.Equal(t, []int{3, 2, 1, 0}, order(4, 1))
	require.Equal(t, []int{1, 2, 3, 0}, order(4, 2))
	require.Equal(t, []int{0, 3, 2, 1}, order(4, 3))
	for round := range 20 {
		for n := range 7 {
			got := order(n, round)
			slices.Sort(got)
			require.Equal(t, order(n, 0), got, "all of them, once, in each round")
		}
	}
}

// fake is a series with figures that the test chooses.
type fake struct {
	about
	lack     error
	figures  []float64 // by call
	fails    error     // instead of the second figure
	measured int
	log      *[]string
}

func (f *fake) find(context.Context) (string, error) { return "1.2.3", f.lack }
func (f *fake) command(s setting) string             { return f.label + " --size " + s.label }
func (f *fake) measure(_ context.Context, s setting) (figure, error) {
	*f.log = append(*f.log, f.label+" "+s.label)
	f.measured++
	if f.fails != nil && f.measured >= 2 {
		return figure{}, f.fails
	}
	return figure{value: f.figures[(f.measured-1)%len(f.figures)]}, nil
}

// fakeSection has a base, a series that is faster, one that fails and one that is missing.
func fakeSection() (*section, *[]string) {
	log := &[]string{}
	return &section{
		name: "fake", title: "A fake", unit: nanoseconds, kind: lines, axis: "size", base: "base", about: "Nothing is measured.",
		settings: []setting{{label: "8 B", x: 8, size: 8}},
		series: []series{
			&fake{about: about{"base", peer, ""}, figures: []float64{1000, 2000, 3000}, log: log},
			&fake{about: about{"quicker", own, "a remark on it"}, figures: []float64{100, 250, 900}, log: log},
			&fake{about: about{"failing", peer, ""}, figures: []float64{500}, fails: errors.New("no\nluck <today>"), log: log},
			&fake{about: about{"absent", peer, ""}, lack: &missing{"install absent-tools"}, log: log},
		},
	}, log
}

func TestSectionTakesTurns(t *testing.T) {
	t.Parallel()
	s, log := fakeSection()
	var progress bytes.Buffer
	m, err := s.measure(t.Context(), 3, &progress)
	require.NoError(t, err)
	require.Equal(t, "base 8 B,quicker 8 B,failing 8 B,failing 8 B,quicker 8 B,base 8 B,quicker 8 B,base 8 B", strings.Join(*log, ","),
		"in the other direction, then from another one on; without what has failed")
	require.Equal(t, 3, strings.Count(progress.String(), "\n"), "a line a round: %s", progress.String())
	require.Equal(t, []string{"", "", "", "install absent-tools"}, m.missing)
	require.EqualError(t, m.failures[2][0], "no\nluck <today>")
	require.Equal(t, []float64{100, 250, 900}, m.values(1, s.columns()[0]))
}

func TestSectionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s, log := fakeSection()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.measure(ctx, 3, &bytes.Buffer{})
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, *log, 1)
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	f := ofSamples([]bar{{From: 1, To: 1, Count: 50}, {From: 2, To: 2, Count: 40}, {From: 5, To: 6, Count: 9}, {From: 70, To: 80, Count: 1}})
	require.Equal(t, 1.0, f.value)
	for share, want := range map[float64]float64{0.5: 1, 0.51: 2, 0.9: 2, 0.91: 6, 0.99: 6, 0.999: 80, 1: 80} {
		require.Equal(t, want, f.percentile(share), "p%g", share*100)
	}
	require.True(t, math.IsNaN(figure{}.percentile(0.5)))
}
