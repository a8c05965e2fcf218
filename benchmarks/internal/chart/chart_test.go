package chart

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/plotter"
)

func TestText(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0 ns":      Decimal(0, Nanoseconds),
		"151 ns":    Decimal(151, Nanoseconds),
		"999 ns":    Decimal(999, Nanoseconds),
		"1 us":      Decimal(999.6, Nanoseconds),
		"1.25 us":   Decimal(1249.6, Nanoseconds),
		"15.3 us":   Decimal(15340, Nanoseconds),
		"20 ms":     Decimal(20e6, Nanoseconds),
		"3.1 s":     Decimal(3.1e9, Nanoseconds),
		"9.99 B/s":  Decimal(9.994, BytesPerSecond),
		"10 B/s":    Decimal(9.996, BytesPerSecond),
		"33.1 GB/s": Decimal(33.1e9, BytesPerSecond),
		"1230 TB/s": Decimal(1230e12, BytesPerSecond),
		"0.3 /s":    Decimal(0.3, PerSecond),
		"7.5 M/s":   Decimal(7.5e6, PerSecond),
		"0.00708":   Digits(0.007084),
		"0.5":       Digits(0.5),
		"1":         Digits(1),
		"12.3":      Digits(12.34),
		"1234":      Digits(1234.4),
		"1 B":       Bytes(1),
		"1023 B":    Bytes(1023),
		"1 KiB":     Bytes(1024),
		"1000000 B": Bytes(1000000),
		"1536 KiB":  Bytes(3 << 19),
		"2 GiB":     Bytes(2 << 30),
	} {
		require.Equal(t, want, got)
	}
}

func TestTicks(t *testing.T) {
	t.Parallel()
	labels := func(low, high float64) (all []string) {
		for _, tick := range Ticks(low, high, 2.5, func(v float64) string { return Decimal(v, Nanoseconds) }) {
			if tick.Label != "" {
				all = append(all, tick.Label)
			}
		}
		return all
	}
	require.Equal(t, []string{"1 us", "10 us", "100 us", "1 ms"}, labels(900, 1.1e6))
	require.Equal(t, []string{"1 us", "2 us", "5 us", "10 us"}, labels(900, 11e3))
	require.Equal(t, []string{"2 us", "3 us", "4 us"}, labels(1900, 4200))
}

func TestSteps(t *testing.T) {
	t.Parallel()
	of := func(samples [][2]int64) plotter.XYs {
		return Steps(len(samples), func(i int) (to, count int64) { return samples[i][0], samples[i][1] }, 1.002)
	}
	require.Equal(t, plotter.XYs{{X: 100, Y: 0}, {X: 100, Y: 0.1}, {X: 200, Y: 0.1}, {X: 200, Y: 1}}, of([][2]int64{{100, 1}, {200, 9}}))
	var samples [][2]int64
	for ns := range int64(100_000) {
		samples = append(samples, [2]int64{ns, 1})
	}
	points := of(samples)
	require.Less(t, len(points), 10_000)
	require.Equal(t, plotter.XY{X: 99_999, Y: 1}, points[len(points)-1])
	for i, p := range points[1:] {
		require.False(t, p.X < points[i].X || p.Y < points[i].Y, "%v after %v", p, points[i])
	}
}
