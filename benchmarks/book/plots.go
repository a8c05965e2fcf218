package main

import (
	"bytes"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

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

// inline is the picture as a part of an HTML page.
func (f plotFile) inline() []byte { return chart.Inline(f.SVG) }

// drawPlot draws a section.
func drawPlot(m *measurement) (plotFile, error) {
	draw := map[plotKind]func(*measurement) (*chart.Panel, error){lines: drawLines, distribution: drawDistribution, bars: drawBars}[m.section.kind]
	p, err := draw(m)
	if err != nil || p == nil {
		return plotFile{}, err
	}
	var b bytes.Buffer
	if err := chart.Write(&b, ".svg", nil, p); err != nil {
		return plotFile{}, err
	}
	return plotFile{Name: m.section.name + ".svg", SVG: b.Bytes()}, nil
}

// style is that of a series. Lines of this project are thicker.
func style(x series, number int, marked bool) chart.Style {
	s := chart.NthStyle(number)
	s.Thick, s.Marked = x.kind() == own, marked
	return s
}

// drawLines draws the medians over the settings.
func drawLines(m *measurement) (*chart.Panel, error) {
	s := m.section
	p := chart.NewPanel("", s.axis, s.unit.name)
	p.AddGrid()
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
		if err := p.AddLine(x.name(), points, style(x, i, true)); err != nil {
			return nil, err
		}
	}
	if p.Empty() {
		return nil, nil
	}
	chart.LogAxis(&p.X, settingTicks(s.settings))
	chart.LogTicks(&p.Y, s.unit.format)
	return p, nil
}

// drawDistribution draws all samples of all rounds together.
func drawDistribution(m *measurement) (*chart.Panel, error) {
	s := m.section
	p := chart.NewPanel("", s.unit.name, "")
	p.AddGrid()
	for i, x := range s.series {
		var all []bar
		for _, round := range m.figures[i][0] {
			all = append(all, round.bars...)
		}
		if len(all) == 0 {
			continue
		}
		slices.SortFunc(all, func(a, b bar) int { return int(a.To - b.To) })
		points := chart.Tail(len(all), func(i int) (to, count int64) { return all[i].To, all[i].Count })
		if err := p.AddLine(x.name(), points, style(x, i, false)); err != nil {
			return nil, err
		}
	}
	if p.Empty() {
		return nil, nil
	}
	chart.LogTicks(&p.X, s.unit.format)
	chart.SharesAxis(&p.Y)
	return p, nil
}

// drawBars draws the only column.
func drawBars(m *measurement) (*chart.Panel, error) {
	s := m.section
	var all []chart.Bar
	for i, x := range s.series {
		if v, ok := spreadOf(m.values(i, s.columns()[0])); ok && v.median > 0 {
			all = append(all, chart.Bar{Name: x.name(), Value: v.median})
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return chart.NewBars("", s.unit.name, all, s.unit.format)
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
