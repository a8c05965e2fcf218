package chart

import (
	"bytes"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Panel is a plot with its legend below it, where no line can be under it.
type Panel struct {
	*plot.Plot
	legend []entry
}

type entry struct {
	name   string
	thumbs []plot.Thumbnailer
}

// NewPanel makes an empty plot; title may be empty.
func NewPanel(title, x, y string) *Panel {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font.Size, p.Title.Padding = vg.Points(11), vg.Points(6)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = vg.Points(10), vg.Points(9)
		a.Label.Padding = vg.Points(3)
	}
	p.Legend.TextStyle.Font.Size = vg.Points(9)
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		f.Variant = "Sans"
	}
	return &Panel{Plot: p}
}

// AddGrid draws a grid; what is added before is below it.
func (p *Panel) AddGrid() {
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{0xdd}, color.Gray{0xdd}
	p.Add(grid)
}

// Empty reports whether no line has been drawn.
func (p *Panel) Empty() bool { return len(p.legend) == 0 }

// Style is what a line looks like. Numbers past the last of their kind begin again.
type Style struct {
	Color  int // of the palette
	Dash   int // 0 for none; also the shape of the marks
	Thick  bool
	Marked bool // its points are single measurements
}

var (
	dashes = [][]vg.Length{nil, {vg.Points(6), vg.Points(3)}, {vg.Points(2), vg.Points(2)}}
	marks  = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}}
)

// NthStyle is the style of the n-th line of many: all colours, then all with dashes.
func NthStyle(n int) Style { return Style{Color: n % len(Palette), Dash: n / len(Palette)} }

// AddLine draws a line, and names it in the legend.
func (p *Panel) AddLine(name string, points plotter.XYs, s Style) error {
	l, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	l.Color, l.Width, l.Dashes = Palette[s.Color%len(Palette)], vg.Points(1.2), dashes[s.Dash%len(dashes)]
	if s.Thick {
		l.Width *= 2
	}
	p.Add(l)
	if !s.Marked {
		p.legend = append(p.legend, entry{name, []plot.Thumbnailer{l}})
		return nil
	}
	marked, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	marked.Color, marked.Shape, marked.Radius = l.Color, marks[s.Dash%len(marks)], vg.Points(2.2)
	p.Add(marked)
	p.legend = append(p.legend, entry{name, []plot.Thumbnailer{l, marked}})
	return nil
}

// labelledDecades is for how wide a range there is room for 2 and 5 times powers of ten.
const labelledDecades = 2.5

// LogTicks makes a logarithmic axis, with ticks at powers of ten in a format. It is called
// when all lines are there, since it gives them room.
func LogTicks(a *plot.Axis, format func(float64) string) {
	LogAxis(a, plot.TickerFunc(func(low, high float64) []plot.Tick { return Ticks(low, high, labelledDecades, format) }))
}

// LogAxis is LogTicks with other ticks.
func LogAxis(a *plot.Axis, ticks plot.Ticker) {
	a.Scale, a.Tick.Marker = plot.LogScale{}, ticks
	a.Min, a.Max = max(a.Min, 1e-9)/1.15, a.Max*1.15
	if a.Max < 4*a.Min {
		a.Min, a.Max = a.Min/2, a.Max*2
	}
}

// SizeTicks are powers of two of bytes, without the unit: 64, 1 Ki.
var SizeTicks = plot.TickerFunc(sizeTicks)

func sizeTicks(low, high float64) []plot.Tick {
	const most = 10 // that fit
	first, last := int(math.Ceil(math.Log2(low))), int(math.Floor(math.Log2(high)))
	step := max(1, (last-first+most)/most)
	var ticks []plot.Tick
	for e := first; e <= last; e += step {
		v := math.Exp2(float64(e))
		ticks = append(ticks, plot.Tick{Value: v, Label: Binary(int(v))})
	}
	return ticks
}

// Inline makes of a picture in SVG a part of an HTML page, which takes the width that it is given.
func Inline(svg []byte) []byte {
	at := bytes.Index(svg, []byte("<svg"))
	if at < 0 {
		return nil
	}
	return widthAndHeight.ReplaceAll(svg[at:], []byte(`<svg role="img"`))
}
