package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// measurement is what a section's rounds gave.
type measurement struct {
	section  *section
	versions []string // by series; empty for those that are missing
	missing  []string // by series: what to do about it; empty for those that are there
	// figures[i][j][k] is what series i gave at setting j in round k; without value
	// (NaN) if it failed.
	figures  [][][]figure
	failures [][]error // [i][j]: why series i has no figures at setting j
}

// none is the figure of what was not measured.
var none = figure{value: math.NaN()}

// measure measures all series that are there, in rounds. In each, they take turns at
// every setting. What has failed at a setting is not tried there again. The error is the
// context's.
func (s *section) measure(ctx context.Context, rounds int, progress io.Writer) (*measurement, error) {
	m := &measurement{section: s}
	there := 0
	for _, x := range s.series {
		version, err := x.find(ctx)
		lack := ""
		if err != nil {
			lack = err.Error()
			if m, ok := errors.AsType[*missing](err); ok {
				lack = m.what
			}
		} else {
			there++
		}
		m.versions, m.missing = append(m.versions, version), append(m.missing, lack)
		figures := make([][]figure, len(s.settings))
		for j := range figures {
			figures[j] = slices.Repeat([]figure{none}, rounds)
		}
		m.figures, m.failures = append(m.figures, figures), append(m.failures, make([]error, len(s.settings)))
	}
	for round := range rounds {
		begin := time.Now()
		for j, at := range s.settings {
			for _, i := range order(len(s.series), round) {
				if m.missing[i] != "" || m.failures[i][j] != nil {
					continue
				}
				f, err := s.series[i].measure(ctx, at)
				switch {
				case ctx.Err() != nil:
					return nil, context.Cause(ctx)
				case err != nil:
					m.failures[i][j] = err
				default:
					m.figures[i][j][round] = f
				}
			}
		}
		fmt.Fprintf(progress, "%s: round %d of %d, %d series, %s\n", s.name, round+1, rounds, there, time.Since(begin).Round(100*time.Millisecond))
	}
	return m, nil
}

// order is in which order n series are measured in a round: it begins with another one
// each time, and every other round goes backwards.
func order(n, round int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = (i + round/2) % n
	}
	if round%2 == 1 {
		slices.Reverse(all)
	}
	return all
}

// spread is what values of several rounds come to.
type spread struct{ median, min, max float64 }

// spreadOf leaves out what is no number; ok is false if nothing is left.
func spreadOf(values []float64) (s spread, ok bool) {
	sorted := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(sorted) == 0 {
		return s, false
	}
	slices.Sort(sorted)
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}, true
}

// ratios are the quotients of what was measured in the same round.
func ratios(values, base []float64) []float64 {
	out := make([]float64, len(values))
	for i := range out {
		if out[i] = values[i] / base[i]; math.IsInf(out[i], 0) {
			out[i] = math.NaN()
		}
	}
	return out
}

// values are what a column takes from the figures of a series, by round.
func (r *measurement) values(i int, c column) []float64 {
	figures := r.figures[i][c.setting]
	values := make([]float64, len(figures))
	for k, f := range figures {
		values[k] = c.of(f)
	}
	return values
}
