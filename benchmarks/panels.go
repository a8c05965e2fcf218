package benchmarks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/plot/plotter"

	"github.com/rfaas-go/rfaas/benchmarks/internal/chart"
)

// trait is a part of what a result is about.
type trait func(*Result) string

func testOf(r *Result) string      { return r.name() }
func transportOf(r *Result) string { return r.Transport }
func modeOf(r *Result) string      { return r.Mode }
func sizeOf(r *Result) string      { return chart.Bytes(r.SizeBytes) }

// subjects tells results apart in a picture: what all have in common is for the title, the rest for
// the legend.
type subjects struct {
	common, different []trait
	bySize            bool // the size is among those that differ
}

// tellApart looks which traits differ. The size is one, unless it is on an axis.
func tellApart(results []Result, withSize bool) (s subjects) {
	subject := withoutBaselines(results)
	traits := []trait{testOf, transportOf, modeOf}
	if withSize {
		traits = append(traits, sizeOf)
		s.bySize = len(sizesOf(subject)) > 1
	}
	for _, of := range traits {
		if slices.ContainsFunc(subject, func(r Result) bool { return of(&r) != of(&subject[0]) }) {
			s.different = append(s.different, of)
		} else {
			s.common = append(s.common, of)
		}
	}
	return s
}

// withoutBaselines is what baselines stand beside; they themselves if there is nothing else.
func withoutBaselines(results []Result) []Result {
	if rest := slices.DeleteFunc(slices.Clone(results), isBaseline); len(rest) > 0 {
		return rest
	}
	return results
}

func isBaseline(r Result) bool { return strings.HasPrefix(r.Test, "baseline-") }

// title is what is drawn, and of what.
func (s subjects) title(what string, results []Result) string {
	if len(s.common) == 0 {
		return what
	}
	return what + ": " + describe(&withoutBaselines(results)[0], s.common)
}

// name is that of a result in the legend.
func (s subjects) name(r *Result) string {
	switch {
	case isBaseline(*r) && s.bySize:
		return r.Test + ", " + sizeOf(r)
	case isBaseline(*r) || len(s.different) == 0:
		return r.Test
	}
	return describe(r, s.different)
}

func describe(r *Result, traits []trait) string {
	var parts []string
	for _, of := range traits {
		parts = append(parts, of(r))
	}
	return strings.Join(parts, ", ")
}

// line is the results of one name, which differ in the size only.
type line struct {
	name    string
	results []Result // by size
}

func linesOf(results []Result, s subjects) []line {
	var lines []line
	for _, r := range results {
		name := s.name(&r)
		i := slices.IndexFunc(lines, func(l line) bool { return l.name == name })
		if i < 0 {
			i = len(lines)
			lines = append(lines, line{name: name})
		}
		l := &lines[i]
		if !slices.ContainsFunc(l.results, func(o Result) bool { return o.SizeBytes == r.SizeBytes }) { // a baseline can stand beside several
			l.results = append(l.results, r)
		}
	}
	for _, l := range lines {
		slices.SortStableFunc(l.results, func(a, b Result) int { return cmp.Compare(a.SizeBytes, b.SizeBytes) })
	}
	return lines
}

// points is a figure of the results over the size, where there is one.
func (l *line) points(figure func(Result) float64) plotter.XYs {
	var points plotter.XYs
	for _, r := range l.results {
		if y := figure(r); y > 0 {
			points = append(points, plotter.XY{X: float64(r.SizeBytes), Y: y})
		}
	}
	return points
}

// percentiles are those that are drawn over the size, with the number of samples that each takes.
var percentiles = []struct {
	name  string
	least int
	of    func(RoundTrips) int64
}{
	{"p50", 1, func(r RoundTrips) int64 { return r.P50 }},
	{"p99", 100, func(r RoundTrips) int64 { return r.P99 }},
	{"p99.99", 10_000, func(r RoundTrips) int64 { return r.P9999 }},
}

// latencyPanel draws percentiles over the size.
func latencyPanel(results []Result) (*chart.Panel, error) {
	s := tellApart(results, false)
	p := chart.NewPanel(s.title("Round trip over size", results), "message size (bytes)", "round trip")
	p.AddGrid()
	for i, l := range linesOf(results, s) {
		for dash, q := range percentiles {
			points := l.points(func(r Result) float64 {
				if r.Iterations < q.least {
					return 0
				}
				return float64(max(q.of(r.RTT), 1))
			})
			if len(points) == 0 {
				continue
			}
			if err := p.AddLine(l.name+", "+q.name, points, chart.Style{Color: i, Dash: dash, Marked: true}); err != nil {
				return nil, err
			}
		}
	}
	chart.LogAxis(&p.X, chart.SizeTicks)
	chart.LogTicks(&p.Y, formatTime)
	return p, nil
}

// bandwidthPanel draws bytes a second, over the size if there are several.
func bandwidthPanel(results []Result) (*chart.Panel, error) {
	if len(sizesOf(results)) == 1 {
		return bandwidthBars(results)
	}
	s := tellApart(results, false)
	p := chart.NewPanel(s.title("Bandwidth over size", results), "message size (bytes)", "bandwidth")
	p.AddGrid()
	for i, l := range linesOf(results, s) {
		style := chart.NthStyle(i)
		style.Marked = true
		if err := p.AddLine(l.name, l.points(func(r Result) float64 { return r.BytesPerSecond }), style); err != nil {
			return nil, err
		}
	}
	chart.LogAxis(&p.X, chart.SizeTicks)
	chart.LogTicks(&p.Y, formatRate)
	return p, nil
}

func bandwidthBars(results []Result) (*chart.Panel, error) {
	s := tellApart(results, true)
	var bars []chart.Bar
	for _, l := range linesOf(results, s) {
		bars = append(bars, chart.Bar{Name: l.name, Value: l.results[0].BytesPerSecond})
	}
	return chart.NewBars(s.title("Bandwidth", results), "bandwidth", bars, formatRate)
}

// distributionLines bounds how many distributions are drawn: more cannot be told apart.
const distributionLines = 8

// distributionPanel draws which share of the samples was at most so long. Baselines are dashed.
func distributionPanel(results []Result) (*chart.Panel, error) {
	sizes := sizesOf(withoutBaselines(results))
	perSize := len(linesOf(results, tellApart(results, false)))
	drawn := spread(sizes, max(distributionLines/perSize, 1))
	what := "Distribution of round trips"
	if len(drawn) < len(sizes) {
		what += fmt.Sprintf(" (%d of %d sizes)", len(drawn), len(sizes))
	}
	results = slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return !slices.Contains(drawn, r.SizeBytes) })
	s := tellApart(results, true)
	p := chart.NewPanel(s.title(what, results), "round trip", "")
	p.AddGrid()
	for i, l := range linesOf(results, s) {
		r := l.results[0]
		style := chart.NthStyle(i)
		if isBaseline(r) {
			style.Dash++
		}
		points := chart.Tail(len(r.distribution), func(i int) (to, count int64) { return r.distribution[i].To, r.distribution[i].Count })
		if err := p.AddLine(l.name, points, style); err != nil {
			return nil, err
		}
	}
	chart.LogTicks(&p.X, formatTime)
	chart.SharesAxis(&p.Y)
	return p, nil
}

func sizesOf(results []Result) []int {
	var sizes []int
	for _, r := range results {
		sizes = append(sizes, r.SizeBytes)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// spread picks at most n values, evenly, with the first and, if there are several, the last one.
func spread(values []int, n int) []int {
	if len(values) <= n {
		return values
	}
	picked := make([]int, n)
	for i := range picked {
		picked[i] = values[i*(len(values)-1)/max(n-1, 1)]
	}
	return picked
}
