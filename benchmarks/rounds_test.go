//go:build measure

package benchmarks

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is in files with the tag "measure" takes time and a quiet machine; see
// check-baselines.

// contender is one of the things that are compared: measure returns a time in
// nanoseconds, or a rate.
type contender struct {
	name    string
	measure func(t *testing.T) float64
}

// interleave measures all contenders in turn, round after round, in an order
// that is reversed each time, and returns their figures by round.
func interleave(t *testing.T, contenders ...contender) [][]float64 {
	t.Helper()
	rounds := 7
	if s := os.Getenv("ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err, "ROUNDS")
		rounds = n
	}
	figures := make([][]float64, len(contenders))
	for round := range rounds {
		for i := range contenders {
			if round%2 == 1 {
				i = len(contenders) - 1 - i
			}
			figures[i] = append(figures[i], contenders[i].measure(t))
		}
	}
	for i, c := range contenders {
		t.Logf("%-28s median %12.0f   rounds %s", c.name, median(figures[i]), strings.Trim(fmt.Sprintf("%.0f", figures[i]), "[]"))
	}
	return figures
}

// ratio is the median of a/b over the rounds.
func ratio(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios)
}

// difference is the median of a-b over the rounds.
func difference(a, b []float64) float64 {
	differences := make([]float64, len(a))
	for i := range a {
		differences[i] = a[i] - b[i]
	}
	return median(differences)
}

// ours is a test of this package, by its median round trip or, for bandwidths,
// by its bytes a second.
func ours(name string, c Config) contender {
	return contender{name, func(t *testing.T) float64 {
		return figure(runOne(t, c)[0])
	}}
}

func figure(r Result) float64 {
	if r.RTT.Max == 0 {
		return r.BytesPerSecond
	}
	return float64(r.RTT.P50)
}
