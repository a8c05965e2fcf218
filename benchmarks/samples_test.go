package benchmarks

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// nearestRank is the percentile of sorted values in the plainest way.
func nearestRank(sorted []int64, percent float64) int64 {
	rank := int(percent/100*float64(len(sorted)) + 0.5)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func TestPercentilesAgainstSorting(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newSamples()
	for _, draw := range []func() int64{
		func() int64 { return 150 },
		func() int64 { return 120 + random.Int64N(40) },
		func() int64 { return int64(math.Exp(random.NormFloat64()*0.7 + 6)) },
		func() int64 { return random.Int64N(exactBelow) },
		func() int64 { return int64(math.Exp(random.Float64() * math.Log(longestSample))) },
	} {
		for _, n := range []int{1, 2, 3, 99, 1000, 20_001} {
			s.reset()
			values := make([]int64, n)
			for i := range values {
				values[i] = draw()
				s.add(values[i])
			}
			slices.Sort(values)
			got := s.roundTrips()
			for _, q := range []struct{ want, got int64 }{
				{values[0], got.Min}, {values[n-1], got.Max},
				{nearestRank(values, 50), got.P50}, {nearestRank(values, 99), got.P99}, {nearestRank(values, 99.9), got.P999},
			} {
				if q.want < exactBelow {
					require.Equal(t, q.want, q.got, "exact below the limit, of %d samples", n)
				} else {
					require.InEpsilon(t, q.want, q.got, 1e-4, "of %d samples", n)
				}
			}
			sum := 0.0
			for _, v := range values {
				sum += float64(v)
			}
			require.InDelta(t, sum/float64(n), got.Mean, 0.06+1e-9*sum/float64(n))
			requireBars(t, s.bars(), values)
		}
	}
}

// requireBars checks that the bars are ascending and hold exactly the values.
func requireBars(t *testing.T, bars []Bar, sorted []int64) {
	t.Helper()
	at, last := 0, int64(-1)
	for _, b := range bars {
		if b.From <= last || b.To < b.From || b.Count < 1 || at+int(b.Count) > len(sorted) {
			t.Fatalf("bar %+v after %d, %d of %d samples", b, last, at, len(sorted))
		}
		held := sorted[at : at+int(b.Count)]
		if held[0] < b.From || held[len(held)-1] > b.To {
			t.Fatalf("bar %+v holds %d to %d", b, held[0], held[len(held)-1])
		}
		last = b.To
		at += len(held)
	}
	require.Equal(t, len(sorted), at)
}

func TestMerge(t *testing.T) {
	t.Parallel()
	a, b := newSamples(), newSamples()
	a.add(100)
	b.add(201)
	b.add(202)
	a.merge(b)
	r := a.roundTrips()
	require.Equal(t, []any{int64(100), int64(201), 167.7, int64(202)}, []any{r.Min, r.P50, r.Mean, r.Max})
	a.reset()
	a.add(7)
	require.InDelta(t, 7, a.roundTrips().Mean, 0)
}

func TestSamplesOutOfRange(t *testing.T) {
	t.Parallel()
	s := newSamples()
	require.Zero(t, s.roundTrips())
	require.Empty(t, s.bars())
	s.add(-5) // a clock that steps back
	s.add(math.MaxInt64)
	r := s.roundTrips()
	require.Zero(t, r.Min)
	require.InEpsilon(t, int64(longestSample), r.Max, 1e-4)
	s.reset()
	require.Zero(t, s.roundTrips())
}

func TestRecordingDoesNotAllocate(t *testing.T) {
	s := newSamples()
	var ns int64
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		s.add(clock() & 0xffff)
		ns += 17
		s.add(ns)
	}))
}
