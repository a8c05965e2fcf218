package chart

import (
	"bytes"
	"image/png"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/plotter"
)

func panel(t *testing.T, names ...string) *Panel {
	p := NewPanel("title", "x", "y")
	p.AddGrid()
	require.True(t, p.Empty())
	for i, name := range names {
		style := NthStyle(i)
		style.Marked = true
		require.NoError(t, p.AddLine(name, plotter.XYs{{X: 1, Y: 10}, {X: 1000, Y: 20}}, style))
	}
	require.False(t, p.Empty())
	LogAxis(&p.X, SizeTicks)
	LogTicks(&p.Y, Digits)
	return p
}

// A picture names all lines and where it comes from, in letters that every reader has.
func TestPicture(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	foot := []string{"machine", strings.Repeat("word ", 60) + "end"}
	require.NoError(t, Write(&b, ".svg", foot, panel(t, "one", "two"), panel(t, "three")))
	svg := b.String()
	for _, want := range []string{"<svg", "one<", "two<", "three<", "machine<", "word end<", "title<", "font-family:'Liberation Sans',Arial,Helvetica,sans-serif"} {
		require.Contains(t, svg, want)
	}
	require.Equal(t, strings.Count(svg, "font-family:"), strings.Count(svg, ",sans-serif"))
	require.Contains(t, string(Inline(b.Bytes())), `<svg role="img"`)
	require.NotContains(t, string(Inline(b.Bytes())), "<?xml")

	one, two := new(bytes.Buffer), new(bytes.Buffer)
	require.NoError(t, Write(one, ".png", nil, panel(t, "one")))
	require.NoError(t, Write(two, ".png", nil, panel(t, "one"), panel(t, "two")))
	single, err := png.Decode(one)
	require.NoError(t, err)
	double, err := png.Decode(two)
	require.NoError(t, err)
	require.InDelta(t, 2*single.Bounds().Dx(), double.Bounds().Dx(), 2)
	require.Equal(t, single.Bounds().Dy(), double.Bounds().Dy())

	require.ErrorContains(t, Write(&b, ".gif", nil, panel(t, "one")), "there are .svg, .png")
}

// Long names have a line of the legend for each.
func TestLegend(t *testing.T) {
	t.Parallel()
	p := panel(t, "a", "b", "c")
	require.Equal(t, 2, p.legendColumns())
	require.Equal(t, 2, p.legendRows())
	p = panel(t, "a", "b", strings.Repeat("long ", 10))
	require.Equal(t, 1, p.legendColumns())
	require.Equal(t, 3, p.legendRows())
}

func TestWrap(t *testing.T) {
	t.Parallel()
	style := NewPanel("", "", "").Legend.TextStyle
	require.Equal(t, []string{"one", "two three", "four"}, wrap([]string{"one", "two three four"}, style, style.Width("two three")))
	require.Equal(t, []string{"incompressible"}, wrap([]string{"incompressible"}, style, 1))
}

// The tail ends at p99.99, or where there is one sample left.
func TestTail(t *testing.T) {
	t.Parallel()
	of := func(bars ...[2]int64) plotter.XYs {
		return Tail(len(bars), func(i int) (to, count int64) { return bars[i][0], bars[i][1] })
	}
	points := of([2]int64{100, 99_000}, [2]int64{200, 995}, [2]int64{1000, 5}) // 5 of 100,000 are beyond
	require.InDelta(t, nines(0.99), points[1].Y, 1e-9)
	require.Equal(t, plotter.XY{X: 200, Y: nines(0.9999)}, points[len(points)-1])
	points = of([2]int64{100, 90}, [2]int64{200, 10})
	require.Equal(t, plotter.XY{X: 200, Y: nines(0.99)}, points[len(points)-1])
	points = of([2]int64{100, 1})
	require.Equal(t, plotter.XY{X: 100, Y: nines(0.5)}, points[len(points)-1])
}
