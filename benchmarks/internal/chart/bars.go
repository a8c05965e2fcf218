package chart

import (
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Bar is a figure and what it is of. It is positive.
type Bar struct {
	Name  string
	Value float64
}

// NewBars draws figures, the first one at the top, on a logarithmic axis.
func NewBars(title, label string, all []Bar, format func(float64) string) (*Panel, error) {
	p := NewPanel(title, label, "")
	all = slices.Clone(all)
	slices.Reverse(all)
	low, high := all[0].Value, all[0].Value
	var names []string
	for _, b := range all {
		low, high = min(low, b.Value), max(high, b.Value)
		names = append(names, b.Name)
	}
	low, high = low/3, high*3 // room for the shortest bar, and for figures
	for i, b := range all {
		y := float64(i)
		bar, err := plotter.NewPolygon(plotter.XYs{{X: low, Y: y - 0.3}, {X: b.Value, Y: y - 0.3}, {X: b.Value, Y: y + 0.3}, {X: low, Y: y + 0.3}})
		if err != nil {
			return nil, err
		}
		bar.Color, bar.LineStyle.Width = Palette[0], 0
		label, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: b.Value, Y: y}}, Labels: []string{" " + format(b.Value)}})
		if err != nil {
			return nil, err
		}
		label.TextStyle[0].Font.Variant, label.TextStyle[0].Font.Size, label.TextStyle[0].YAlign = "Sans", vg.Points(9), draw.YCenter
		p.Add(bar, label)
	}
	LogTicks(&p.X, format)
	p.X.Min, p.X.Max = low, high
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.6, float64(len(all))-0.4
	return p, nil
}
