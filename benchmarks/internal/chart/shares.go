package chart

import (
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// mostShare is where the plot of a distribution ends.
const mostShare = 0.9999

// nines is the place of a share on an axis on which each nine is as long as the one before.
func nines(share float64) float64 { return -math.Log10(1 - share) }

// SharesAxis makes the axis of Tail.
func SharesAxis(a *plot.Axis) {
	a.Label.Text = "share of samples at or below"
	a.Min, a.Max = 0, nines(mostShare)
	a.Tick.Marker = plot.TickerFunc(func(_, _ float64) []plot.Tick {
		var ticks []plot.Tick
		for _, t := range []struct {
			share float64
			label string
		}{{0, "0"}, {0.5, "50 %"}, {0.9, "90 %"}, {0.99, "99 %"}, {0.999, "99.9 %"}, {0.9999, "99.99 %"}} {
			ticks = append(ticks, plot.Tick{Value: nines(t.share), Label: t.label})
		}
		return ticks
	})
}

// Tail is a distribution as a line up to p99.99, for SharesAxis. The bars are those of Steps. The
// line of less than 10,000 samples ends where it has all but the last one.
func Tail(n int, bar func(i int) (to, count int64)) plotter.XYs {
	var total int64
	for i := range n {
		_, count := bar(i)
		total += count
	}
	most := max(min(mostShare, 1-1/float64(total)), 0.5)
	steps := Steps(n, bar, 1.004)
	end := slices.IndexFunc(steps, func(p plotter.XY) bool { return p.Y >= most })
	points := steps[:end+1] // the last one has all samples
	for i := range points {
		points[i].Y = nines(min(points[i].Y, most))
	}
	return points
}
