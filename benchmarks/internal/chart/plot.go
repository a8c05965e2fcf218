package chart

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// Palette is Okabe and Ito's, which the colour-blind can tell apart, without yellow.
var Palette = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, // blue
	color.RGBA{0xd5, 0x5e, 0x00, 0xff}, // vermilion
	color.RGBA{0x00, 0x9e, 0x73, 0xff}, // green
	color.RGBA{0xcc, 0x79, 0xa7, 0xff}, // purple
	color.RGBA{0xe6, 0x9f, 0x00, 0xff}, // orange
	color.RGBA{0x56, 0xb4, 0xe9, 0xff}, // sky
	color.RGBA{0x40, 0x40, 0x40, 0xff}, // dark grey
}

// Ticks labels powers of ten, and their multiples by 2 and 5 if the range is at most so many
// decades, or all multiples if it is less than 0.7 decades, and marks the others.
func Ticks(low, high, decades float64, format func(float64) string) []plot.Tick {
	are := math.Log10(high / low)
	labelled := map[int]bool{1: true, 2: are < decades, 5: are < decades}
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for m := 1; m <= 9; m++ {
			v := float64(m) * math.Pow(10, e)
			if v < low || v > high {
				continue
			}
			t := plot.Tick{Value: v}
			if labelled[m] || are < 0.7 {
				t.Label = format(v)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// Steps is a distribution as the points of its cumulative function, without steps that are closer to
// each other than a factor. It has n bars in ascending order, each with a number of samples that are above the
// bar before, and at most to.
func Steps(n int, bar func(i int) (to, count int64), visible float64) plotter.XYs {
	var total, below int64
	for i := range n {
		_, count := bar(i)
		total += count
	}
	var points plotter.XYs
	last := 0.0
	for i := range n {
		to, count := bar(i)
		share := float64(below) / float64(total)
		below += count
		x := float64(max(to, 1))
		if x < last*visible && i < n-1 {
			continue
		}
		last = x
		points = append(points, plotter.XY{X: x, Y: share}, plotter.XY{X: x, Y: float64(below) / float64(total)})
	}
	return points
}
