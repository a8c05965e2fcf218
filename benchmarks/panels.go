package benchmarks

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/rfaas-go/rfaas/benchmarks/internal/chart"
)

var dashes = []vg.Length{vg.Points(5), vg.Points(3)}

// line is the results of one test, transport and mode.
type line struct {
	name    string
	results []Result // by size
}

func linesOf(results []Result) []line {
	var lines []line
	for _, r := range results {
		name := r.name()
		if !isBaseline(r) {
			name += " on " + r.Transport
		}
		name += ", " + r.Mode
		i := slices.IndexFunc(lines, func(l line) bool { return l.name == name })
		if i < 0 {
			i = len(lines)
			lines = append(lines, line{name: name})
		}
		lines[i].results = append(lines[i].results, r)
	}
	for _, l := range lines {
		slices.SortStableFunc(l.results, func(a, b Result) int { return cmp.Compare(a.SizeBytes, b.SizeBytes) })
	}
	return lines
}

// points is a figure of the results over the size.
func (l *line) points(figure func(Result) float64) plotter.XYs {
	points := make(plotter.XYs, len(l.results))
	for i, r := range l.results {
		points[i] = plotter.XY{X: float64(r.SizeBytes), Y: figure(r)}
	}
	return points
}

func isBaseline(r Result) bool { return strings.HasPrefix(r.Test, "baseline-") }

// newPanel makes an empty plot with room to breathe.
func newPanel(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font.Size = vg.Points(14)
	p.Title.Padding = vg.Points(8)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Size = vg.Points(12)
		a.Tick.Label.Font.Size = vg.Points(10)
		a.Label.Padding = vg.Points(4)
	}
	p.Legend.TextStyle.Font.Size = vg.Points(10)
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		f.Variant = "Sans"
	}
	p.Legend.Padding = vg.Points(2)
	p.Legend.ThumbnailWidth = vg.Points(28)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{0xd8}, color.Gray{0xd8}
	p.Add(grid)
	return p
}

// latencyPanel draws p50 and p99 over the size.
func latencyPanel(results []Result) (*plot.Plot, error) {
	p := newPanel("Round trip over message size", "message size (bytes)", "round trip")
	logX(p, sizeTicks)
	logY(p, timeTicks)
	lines := linesOf(results)
	for i, l := range lines {
		err := addLine(p, l.name+", p50", l.points(func(r Result) float64 { return float64(max(r.RTT.P50, 1)) }), i, false, true)
		if err == nil {
			err = addLine(p, l.name+", p99", l.points(func(r Result) float64 { return float64(max(r.RTT.P99, 1)) }), i, true, true)
		}
		if err != nil {
			return nil, err
		}
	}
	settle(&p.X)
	settle(&p.Y)
	roomForLegend(p, 2*len(lines))
	return p, nil
}

// bandwidthPanel draws bytes a second over the size.
func bandwidthPanel(results []Result) (*plot.Plot, error) {
	p := newPanel("Bandwidth over message size", "message size (bytes)", "bandwidth")
	logX(p, sizeTicks)
	logY(p, rateTicks)
	lines := linesOf(results)
	for i, l := range lines {
		points := l.points(func(r Result) float64 { return r.BytesPerSecond })
		if err := addLine(p, l.name, points, i, isBaseline(l.results[0]), true); err != nil {
			return nil, err
		}
	}
	settle(&p.X)
	settle(&p.Y)
	roomForLegend(p, len(lines))
	return p, nil
}

// distributionLines bounds how many distributions are drawn: more cannot be told
// apart.
const distributionLines = 6

// distributionPanel draws which share of the samples was at most so long.
// Baselines are dashed, and have the colour of the test at their size if there
// is only one test.
func distributionPanel(results []Result) (*plot.Plot, error) {
	p := newPanel("Cumulative distribution of all samples", "round trip (up to p99.9)", "share of samples at or below")
	logX(p, timeTicks)
	p.Y.Min, p.Y.Max = 0, 1
	p.Y.Tick.Marker = plot.TickerFunc(shareTicks)
	sizes := sizesOf(results)
	drawn := spread(sizes, max(distributionLines/len(linesOf(results)), 2))
	if len(drawn) < len(sizes) {
		p.Title.Text += fmt.Sprintf(" (%d of %d sizes)", len(drawn), len(sizes))
	}
	low, high := int64(math.MaxInt64), int64(1)
	tests := slices.DeleteFunc(linesOf(results), func(l line) bool { return isBaseline(l.results[0]) })
	for i, r := range results {
		colour := slices.Index(drawn, r.SizeBytes)
		if colour < 0 {
			continue
		}
		if len(tests) > 1 {
			colour = i
		}
		name := fmt.Sprintf("%s, %s", r.name(), chart.Bytes(r.SizeBytes))
		if err := addLine(p, name, stepsOf(r.distribution), colour, isBaseline(r), false); err != nil {
			return nil, err
		}
		low, high = min(low, r.RTT.Min), max(high, r.RTT.P999)
	}
	// The slowest thousandth would squeeze the rest into a corner.
	p.X.Min, p.X.Max = float64(low)*0.8, float64(high)*1.25
	settle(&p.X)
	p.Legend.Top, p.Legend.Left = false, false
	p.Legend.XOffs, p.Legend.YOffs = -vg.Points(8), vg.Points(8)
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

// spread picks at most n > 1 values, evenly, with the first and the last one.
func spread(values []int, n int) []int {
	if len(values) <= n {
		return values
	}
	picked := make([]int, n)
	for i := range picked {
		picked[i] = values[i*(len(values)-1)/(n-1)]
	}
	return picked
}

// stepsOf is a distribution as the points of its cumulative function.
func stepsOf(bars []Bar) plotter.XYs {
	return chart.Steps(len(bars), func(i int) (to, count int64) { return bars[i].To, bars[i].Count }, 1.002)
}

// addLine draws points in the colour of a series, with markers where the points
// are single measurements.
func addLine(p *plot.Plot, name string, points plotter.XYs, series int, dashed, marked bool) error {
	l, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	l.Color, l.Width = chart.Palette[series%len(chart.Palette)], vg.Points(1.6)
	if dashed {
		l.Dashes = dashes
	}
	p.Add(l)
	if !marked {
		p.Legend.Add(name, l)
		return nil
	}
	s, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	s.Color, s.Shape, s.Radius = l.Color, draw.CircleGlyph{}, vg.Points(2.5)
	p.Add(s)
	p.Legend.Add(name, l, s)
	return nil
}

// roomForLegend leaves space above the lines for a legend of n entries, on a
// logarithmic axis.
func roomForLegend(p *plot.Plot, n int) {
	const entry = 0.05 // of the height
	share := min(entry*float64(n+1), 0.6)
	p.Y.Min, p.Y.Max = p.Y.Min/1.1, p.Y.Max*1.1
	p.Y.Max *= math.Pow(p.Y.Max/p.Y.Min, share/(1-share))
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(8), -vg.Points(4)
}

func logX(p *plot.Plot, ticks plot.TickerFunc) {
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks
}

func logY(p *plot.Plot, ticks plot.TickerFunc) {
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, ticks
}

// settle makes the range of a logarithmic axis one that has room: a single value
// has none.
func settle(a *plot.Axis) {
	a.Min, a.Max = max(a.Min, 1), max(a.Max, 1)
	if a.Max < 2*a.Min {
		a.Min, a.Max = a.Min/2, a.Max*2
	}
}

// maxTicks is how many labels fit on an axis.
const maxTicks = 10

// sizeTicks are powers of two: 64, 1 Ki, 1 Mi.
func sizeTicks(low, high float64) []plot.Tick {
	first, last := int(math.Ceil(math.Log2(low))), int(math.Floor(math.Log2(high)))
	step := max(1, (last-first+maxTicks)/maxTicks)
	var ticks []plot.Tick
	for e := first; e <= last; e += step {
		v := math.Exp2(float64(e))
		ticks = append(ticks, plot.Tick{Value: v, Label: chart.Binary(int(v))})
	}
	return ticks
}

// labelledDecades is for how wide a range there is room for 2 and 5 times powers of ten.
const labelledDecades = 3.5

// timeTicks are 1, 2 and 5 times powers of ten of nanoseconds: 200 ns, 1 us.
func timeTicks(low, high float64) []plot.Tick {
	return chart.Ticks(low, high, labelledDecades, formatTime)
}

// rateTicks are 1, 2 and 5 times powers of ten of bytes a second.
func rateTicks(low, high float64) []plot.Tick {
	return chart.Ticks(low, high, labelledDecades, formatRate)
}

// shareTicks are tenths, every other one labelled.
func shareTicks(_, _ float64) []plot.Tick {
	var ticks []plot.Tick
	for i := range 11 {
		t := plot.Tick{Value: float64(i) / 10}
		if i%2 == 0 {
			t.Label = fmt.Sprintf("%d %%", 10*i)
		}
		ticks = append(ticks, t)
	}
	return ticks
}
