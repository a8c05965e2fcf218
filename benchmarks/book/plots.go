package main

import (
	"bytes"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/rfaas-go/rfaas/benchmarks/internal/chart"
)

// plotKind is what a section's plot shows.
type plotKind int

const (
	lines        plotKind = iota // figures over the axis
	distribution                 // which share of the samples was at most so long
	bars                         // one figure of each series
)

// plotFile is a picture in the folder; without SVG there is none.
type plotFile struct {
	Name string
	SVG  []byte
}

// inline is the picture as a part of an HTML page: it takes the width that it is given.
func (f plotFile) inline() []byte {
	at := bytes.Index(f.SVG, []byte("<svg"))
	if at < 0 {
		return nil
	}
	return widthAndHeight.ReplaceAll(f.SVG[at:], []byte(`<svg role="img"`))
}

var widthAndHeight = regexp.MustCompile(`^<svg width="[^"]*" height="[^"]*"`)

// Series that have a colour in common differ in the dashes and the mark.
var (
	dashes = [][]vg.Length{nil, {vg.Points(6), vg.Points(3)}, {vg.Points(2), vg.Points(2)}}
	marks  = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}}
)

// Size of a plot; below it is its legend.
const (
	plotWidth     = 12.5 * vg.Centimeter // as it is on a telephone
	plotHeight    = 8.5 * vg.Centimeter
	legendLine    = 0.37 * vg.Centimeter
	legendColumns = 2
	plotMargin    = 0.2 * vg.Centimeter
)

// drawPlot draws a section.
func drawPlot(m *measurement) (plotFile, error) {
	p := newPlot()
	var legend []legendEntry
	var err error
	switch m.section.kind {
	case lines:
		legend, err = drawLines(p, m)
	case distribution:
		legend, err = drawDistribution(p, m)
	case bars:
		return drawBars(p, m)
	}
	if err != nil || len(legend) == 0 {
		return plotFile{}, err
	}
	return render(m.section.name, p, legend)
}

type legendEntry struct {
	name   string
	thumbs []plot.Thumbnailer
}

func newPlot() *plot.Plot {
	p := plot.New()
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = vg.Points(10), vg.Points(9)
		a.Label.Padding = vg.Points(3)
	}
	for _, f := range []*font.Font{&p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		f.Variant = "Sans"
	}
	p.Legend.TextStyle.Font.Size = vg.Points(9)
	return p
}

func addGrid(p *plot.Plot) {
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{0xdd}, color.Gray{0xdd}
	p.Add(grid)
}

// drawLines draws the medians over the settings.
func drawLines(p *plot.Plot, m *measurement) (legend []legendEntry, err error) {
	s := m.section
	addGrid(p)
	p.X.Label.Text, p.Y.Label.Text = s.axis, s.unit.name
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	for i, x := range s.series {
		var points plotter.XYs
		for _, c := range s.columns() {
			if v, ok := spreadOf(m.values(i, c)); ok && v.median > 0 {
				points = append(points, plotter.XY{X: s.settings[c.setting].x, Y: v.median})
			}
		}
		if len(points) == 0 {
			continue
		}
		entry, err := addLine(p, x, points, i, true)
		if err != nil {
			return nil, err
		}
		legend = append(legend, entry)
	}
	widen(&p.X)
	widen(&p.Y)
	p.X.Tick.Marker = settingTicks(s.settings)
	p.Y.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return chart.Ticks(low, high, labelledDecades, s.unit.format) })
	return legend, nil
}

// drawDistribution draws all samples of all rounds together, up to p99.99.
func drawDistribution(p *plot.Plot, m *measurement) (legend []legendEntry, err error) {
	s := m.section
	addGrid(p)
	p.X.Label.Text, p.Y.Label.Text = s.unit.name, "share of samples at or below"
	p.X.Scale = plot.LogScale{}
	for i, x := range s.series {
		all := figure{}
		for _, round := range m.figures[i][0] {
			all.bars = append(all.bars, round.bars...)
		}
		if len(all.bars) == 0 {
			continue
		}
		slices.SortFunc(all.bars, func(a, b bar) int { return int(a.To - b.To) })
		entry, err := addLine(p, x, tailPoints(all.bars), i, false)
		if err != nil {
			return nil, err
		}
		legend = append(legend, entry)
	}
	widen(&p.X)
	p.X.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return chart.Ticks(low, high, labelledDecades, s.unit.format) })
	p.Y.Min, p.Y.Max = 0, nines(mostShare)
	p.Y.Tick.Marker = plot.TickerFunc(func(_, _ float64) []plot.Tick {
		var ticks []plot.Tick
		for _, t := range []struct {
			share float64
			label string
		}{{0, "0"}, {0.5, "50 %"}, {0.9, "90 %"}, {0.99, "99 %"}, {0.999, "99.9 %"}, {0.9999, "99.99 %"}} {
			ticks = append(ticks, plot.Tick{Value: nines(t.share), Label: t.label})
		}
		return ticks
	})
	return legend, nil
}

// labelledDecades is for how wide a range there is room for 2 and 5 times powers of ten.
const labelledDecades = 2.5

// mostShare is where the plot of a distribution ends.
const mostShare = 0.9999

// nines is the place of a share on an axis on which each nine is as long as the one before.
func nines(share float64) float64 { return -math.Log10(1 - share) }

// tailPoints is a distribution as a line, up to where the plot ends.
func tailPoints(bars []bar) plotter.XYs {
	steps := chart.Steps(len(bars), func(i int) (to, count int64) { return bars[i].To, bars[i].Count }, 1.004)
	end := slices.IndexFunc(steps, func(p plotter.XY) bool { return p.Y >= mostShare })
	points := steps[:end+1] // the last one has all samples
	for i := range points {
		points[i].Y = nines(min(points[i].Y, mostShare))
	}
	return points
}

// addLine draws points in the colours of a series. Lines of this project are thicker.
func addLine(p *plot.Plot, x series, points plotter.XYs, number int, marked bool) (legendEntry, error) {
	l, err := plotter.NewLine(points)
	if err != nil {
		return legendEntry{}, err
	}
	style := number / len(chart.Palette)
	l.Color, l.Width, l.Dashes = chart.Palette[number%len(chart.Palette)], vg.Points(1.2), dashes[style%len(dashes)]
	if x.kind() == own {
		l.Width *= 2
	}
	p.Add(l)
	if !marked {
		return legendEntry{x.name(), []plot.Thumbnailer{l}}, nil
	}
	s, err := plotter.NewScatter(points)
	if err != nil {
		return legendEntry{}, err
	}
	s.Color, s.Shape, s.Radius = l.Color, marks[style%len(marks)], vg.Points(2.2)
	p.Add(s)
	return legendEntry{x.name(), []plot.Thumbnailer{l, s}}, nil
}

// drawBars draws the only column, one bar under the other.
func drawBars(p *plot.Plot, m *measurement) (plotFile, error) {
	s := m.section
	type entry struct {
		name string
		spread
	}
	var all []entry
	for i, x := range s.series {
		if v, ok := spreadOf(m.values(i, s.columns()[0])); ok && v.median > 0 {
			all = append(all, entry{x.name(), v})
		}
	}
	if len(all) == 0 {
		return plotFile{}, nil
	}
	slices.Reverse(all) // the first one is at the top
	low, high := math.Inf(1), 0.0
	var names []string
	for _, e := range all {
		low, high = min(low, e.median), max(high, e.median)
		names = append(names, e.name)
	}
	low, high = low/3, high*3 // room for the shortest bar, and for figures
	for i, e := range all {
		y := float64(i)
		bar, err := plotter.NewPolygon(plotter.XYs{{X: low, Y: y - 0.3}, {X: e.median, Y: y - 0.3}, {X: e.median, Y: y + 0.3}, {X: low, Y: y + 0.3}})
		if err != nil {
			return plotFile{}, err
		}
		bar.Color, bar.LineStyle.Width = chart.Palette[0], 0
		label, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: e.median, Y: y}}, Labels: []string{" " + s.unit.format(e.median)}})
		if err != nil {
			return plotFile{}, err
		}
		label.TextStyle[0].Font.Variant, label.TextStyle[0].Font.Size, label.TextStyle[0].YAlign = "Sans", vg.Points(9), draw.YCenter
		p.Add(bar, label)
	}
	p.X.Label.Text = s.unit.name
	p.X.Scale, p.X.Min, p.X.Max = plot.LogScale{}, low, high
	p.X.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return chart.Ticks(low, high, labelledDecades, s.unit.format) })
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.6, float64(len(all))-0.4
	return render(s.name, p, nil)
}

// render draws a plot and the legend below it.
func render(name string, p *plot.Plot, legend []legendEntry) (plotFile, error) {
	rows := (len(legend) + legendColumns - 1) / legendColumns
	below := legendLine * vg.Length(rows)
	canvas := vgsvg.New(plotWidth, plotHeight+below)
	all := draw.Crop(draw.New(canvas), plotMargin, -2*plotMargin, plotMargin, -plotMargin)
	p.Draw(draw.Crop(all, 0, 0, below, 0))
	width := (plotWidth - 3*plotMargin) / legendColumns
	for column := range legendColumns {
		part := legend[min(column*rows, len(legend)):min((column+1)*rows, len(legend))]
		l := plot.NewLegend()
		l.TextStyle = p.Legend.TextStyle
		l.ThumbnailWidth, l.Left, l.Top = vg.Points(26), true, true
		l.Padding = vg.Points(1.5)
		for _, e := range part {
			l.Add(" "+e.name, e.thumbs...)
		}
		left := width * vg.Length(column)
		l.Draw(draw.Crop(all, left, left+width-(all.Max.X-all.Min.X), 0, below-(all.Max.Y-all.Min.Y)))
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return plotFile{}, err
	}
	return plotFile{Name: name + ".svg", SVG: fallbackFonts(b.Bytes())}, nil
}

// fallbackFonts adds families that there are where the first one is not.
func fallbackFonts(svg []byte) []byte {
	return families.ReplaceAll(svg, []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif"))
}

var families = regexp.MustCompile(`font-family:[^;"]*`)

// widen gives the range of a logarithmic axis room.
func widen(a *plot.Axis) {
	a.Min, a.Max = max(a.Min, 1e-9)/1.15, a.Max*1.15
	if a.Max < 4*a.Min {
		a.Min, a.Max = a.Min/2, a.Max*2
	}
}

// settingTicks are the settings by their names, of sizes without the unit: 64, 4Ki.
func settingTicks(settings []setting) plot.ConstantTicks {
	short := strings.NewReplacer(" B", "", " KiB", "Ki", " MiB", "Mi")
	var ticks plot.ConstantTicks
	for _, s := range settings {
		ticks = append(ticks, plot.Tick{Value: s.x, Label: short.Replace(s.label)})
	}
	return ticks
}
