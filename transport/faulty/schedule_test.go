package faulty

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func hits(seed uint64, k kind, number uint32, chance float64, events uint64) (hit []uint64) {
	s := newSchedule(seed, k, number, chance)
	for event := range events {
		if s.hits(event) {
			hit = append(hit, event)
		}
	}
	return hit
}

func TestScheduleFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	first := hits(7, kindHold, 3, 0.1, 1000)
	require.Equal(t, first, hits(7, kindHold, 3, 0.1, 1000))
	require.NotEqual(t, first, hits(8, kindHold, 3, 0.1, 1000))
	require.NotEqual(t, first, hits(7, kindWake, 3, 0.1, 1000))
	require.NotEqual(t, first, hits(7, kindHold, 4, 0.1, 1000))
}

func TestScheduleKeepsItsChance(t *testing.T) {
	t.Parallel()
	const events = 100_000
	for _, chance := range []float64{0.001, 0.1, 0.5, 0.9} {
		n := len(hits(1, kindHold, 1, chance, events)) // of this seed, the same in every run
		require.InEpsilon(t, chance*events, n, 0.2, "chance %v", chance)
	}
	require.Empty(t, hits(1, kindHold, 1, 0, events))
	require.Empty(t, hits(1, kindHold, 1, 5e-324, events))
	require.Len(t, hits(1, kindHold, 1, 1, events), events)
}
