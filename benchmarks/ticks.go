package benchmarks

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
)

func logX(p *plot.Plot, ticks plot.Ticker) {
	p.X.Scale, p.X.Tick.Marker = logScale{}, ticks
}

func logY(p *plot.Plot, ticks plot.Ticker) {
	p.Y.Scale, p.Y.Tick.Marker = logScale{}, ticks
}

// logScale is plot.LogScale for ranges that settle has looked after.
type logScale = plot.LogScale

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
type sizeTicks struct{}

func (sizeTicks) Ticks(low, high float64) []plot.Tick {
	first, last := int(math.Ceil(math.Log2(low))), int(math.Floor(math.Log2(high)))
	step := max(1, (last-first+maxTicks)/maxTicks)
	var ticks []plot.Tick
	for e := first; e <= last; e += step {
		v := math.Exp2(float64(e))
		ticks = append(ticks, plot.Tick{Value: v, Label: formatBinary(int(v))})
	}
	return ticks
}

// timeTicks are 1, 2 and 5 times powers of ten of nanoseconds: 200 ns, 1 us.
type timeTicks struct{}

func (timeTicks) Ticks(low, high float64) []plot.Tick {
	return decimalTicks(low, high, formatTime)
}

// rateTicks are 1, 2 and 5 times powers of ten of bytes a second.
type rateTicks struct{}

func (rateTicks) Ticks(low, high float64) []plot.Tick {
	return decimalTicks(low, high, formatRate)
}

// decimalTicks labels the multiples 1, 2 and 5 of powers of ten, or only the
// powers when the range is wide, and marks the other multiples.
func decimalTicks(low, high float64, format func(float64) string) []plot.Tick {
	decades := math.Log10(high / low)
	labelled := map[int]bool{1: true, 2: decades < 3.5, 5: decades < 3.5}
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for m := 1; m <= 9; m++ {
			v := float64(m) * math.Pow(10, e)
			if v < low || v > high {
				continue
			}
			t := plot.Tick{Value: v}
			if labelled[m] || decades < 0.7 {
				t.Label = format(v)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// shareTicks are tenths, every other one labelled.
type shareTicks struct{}

func (shareTicks) Ticks(_, _ float64) []plot.Tick {
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
