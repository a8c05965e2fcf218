package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"regexp"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Size of a panel: what a telephone shows. Its legend is below, and below all is the foot.
const (
	panelWidth  = 12.5 * vg.Centimeter
	panelHeight = 8.5 * vg.Centimeter
	legendLine  = 0.37 * vg.Centimeter
	footLine    = 0.32 * vg.Centimeter
	margin      = 0.2 * vg.Centimeter
	thumbnail   = 26 // points, of a line in the legend
)

// Kinds are the kinds of pictures, as extensions of file names.
var Kinds = []string{".svg", ".png"}

// Write draws panels beside each other into a picture of one of Kinds. The foot says where they come from;
// it may be empty.
func Write(w io.Writer, kind string, foot []string, panels ...*Panel) error {
	if !slices.Contains(Kinds, kind) {
		return fmt.Errorf("chart: a picture of kind %q: there are %s", kind, strings.Join(Kinds, ", "))
	}
	width := panelWidth * vg.Length(len(panels))
	footStyle := newFootStyle(panels[0].Legend.TextStyle)
	lines := wrap(foot, footStyle, width-2*margin)
	legend := vg.Length(0)
	for _, p := range panels {
		legend = max(legend, legendLine*vg.Length(p.legendRows()))
	}
	below := footLine * vg.Length(len(lines))
	if below > 0 {
		below += margin
	}
	height := panelHeight + legend + below
	var canvas interface {
		vg.CanvasSizer
		io.WriterTo
	}
	if kind == ".png" {
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(192))}
	} else {
		canvas = vgsvg.New(width, height)
	}
	all := draw.New(canvas)
	plots := make([]*plot.Plot, len(panels))
	for i, p := range panels {
		plots[i] = p.Plot
		left := panelWidth * vg.Length(i)
		p.drawLegend(draw.Crop(all, left+margin, left+panelWidth-2*margin-width, below+margin, below+legend-height))
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(panels), PadX: 2 * margin, PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: 2 * margin}
	for i, c := range plot.Align([][]*plot.Plot{plots}, tiles, draw.Crop(all, 0, 0, below+legend, 0))[0] {
		plots[i].Draw(c)
	}
	for i, line := range lines {
		all.FillText(footStyle, vg.Point{X: margin, Y: footLine*vg.Length(len(lines)-1-i) + margin/2}, line)
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return err
	}
	picture := b.Bytes()
	if kind == ".svg" {
		picture = fallbackFonts(picture)
	}
	_, err := w.Write(picture)
	return err
}

// drawLegend fills columns from the top.
func (p *Panel) drawLegend(c draw.Canvas) {
	columns, rows := p.legendColumns(), p.legendRows()
	size := c.Size()
	width := size.X / vg.Length(columns)
	for column := range columns {
		l := plot.NewLegend()
		l.TextStyle = p.Legend.TextStyle
		l.ThumbnailWidth, l.Left, l.Top = vg.Points(thumbnail), true, true
		l.Padding = vg.Points(1.5)
		for _, e := range p.legend[min(column*rows, len(p.legend)):min((column+1)*rows, len(p.legend))] {
			l.Add(" "+e.name, e.thumbs...)
		}
		left := width * vg.Length(column)
		l.Draw(draw.Crop(c, left, left+width-size.X, 0, 0))
	}
}

// legendColumns is two if the names are short enough.
func (p *Panel) legendColumns() int {
	for _, e := range p.legend {
		if p.Legend.TextStyle.Width(e.name)+vg.Points(thumbnail+8) > (panelWidth-3*margin)/2 {
			return 1
		}
	}
	return 2
}

func (p *Panel) legendRows() int {
	columns := p.legendColumns()
	return (len(p.legend) + columns - 1) / columns
}

func newFootStyle(like text.Style) text.Style {
	like.Font.Size, like.Color = vg.Points(6.5), color.Gray{0x60}
	return like
}

// wrap breaks lines at spaces where they are too long.
func wrap(lines []string, style text.Style, width vg.Length) (wrapped []string) {
	for _, line := range lines {
		current := ""
		for _, word := range strings.Fields(line) {
			longer := strings.TrimPrefix(current+" "+word, " ")
			if current != "" && style.Width(longer) > width {
				wrapped = append(wrapped, current)
				longer = word
			}
			current = longer
		}
		wrapped = append(wrapped, current)
	}
	return wrapped
}

// fallbackFonts adds families that there are where the first one is not.
func fallbackFonts(svg []byte) []byte {
	return families.ReplaceAll(svg, []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif"))
}

var (
	families       = regexp.MustCompile(`font-family:[^;"]*`)
	widthAndHeight = regexp.MustCompile(`^<svg width="[^"]*" height="[^"]*"`)
)
