package benchmarks

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Transports take turns, and each has a result of its own that compares it with the first one.
func TestTransportsInTurns(t *testing.T) {
	requireTwoCores(t)
	var begun []string
	results := runOne(t, Config{Test: "send-lat", Transport: "shm:", Others: []string{"softroce:?loss=0.001", "loopback:"}, Sizes: []int{8}, Iterations: 57, Baseline: true,
		OnBegin: func(what string) { begun = append(begun, what) }})
	var names []string
	for _, r := range results {
		names = append(names, r.Test+" "+r.Transport)
		if isBaseline(r) {
			continue
		}
		require.Equal(t, 57, r.Iterations)
		require.Len(t, r.RoundP50, transportRounds)
		var count int64
		for _, b := range r.Distribution() {
			count += b.Count
		}
		require.EqualValues(t, 57, count)
		require.Positive(t, r.OpsPerSecond)
	}
	require.Equal(t, []string{"send-lat shm", "send-lat softroce:?loss=0.001", "send-lat loopback", "baseline-shm-lat none", "baseline-udp-lat none"}, names, "a baseline of each medium")
	require.Nil(t, results[0].Ratio)
	for _, r := range results[1:3] {
		require.Equal(t, "shm", r.Ratio.To)
		require.Positive(t, r.Ratio.Min)
		require.GreaterOrEqual(t, r.Ratio.Max, r.Ratio.P50)
	}
	require.NotZero(t, results[1].Counters["packets_sent"])
	require.Equal(t, []string{"send-lat on shm, 8 B, round 1 of 5", "send-lat on softroce:?loss=0.001, 8 B, round 1 of 5", "send-lat on loopback, 8 B, round 1 of 5", "send-lat on loopback, 8 B, round 2 of 5"}, begun[:4])
	require.Equal(t, "baseline-udp-lat, 8 B", begun[len(begun)-1])

	results = runOne(t, Config{Test: "write-bw", Transport: "shm:", Others: []string{"loopback:"}, Sizes: []int{64}, Iterations: 3})
	require.Len(t, results[1].RoundRates, 3)
	require.Positive(t, results[1].Ratio.P50)
	require.Zero(t, results[1].RTT)
}

func TestTransportsRefused(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Transport: "shm:", Others: []string{"shm:"}}, "--transport: shm: is given twice"},
		{Config{Transport: "shm:", Others: []string{"loopback:"}, Connect: "127.0.0.1:1"}, "--transport: several are compared on this machine"},
		{Config{Transport: "shm:", Others: []string{"loopback:"}, PeerTransport: "softroce:"}, "--transport: several are compared on this machine"},
		{Config{Transport: "shm:", Others: []string{"carrier-pigeon:"}}, "carrier-pigeon"},
	} {
		c.config.Test = "send-lat"
		c.config.OnBegin = func(string) { t.Error("something was measured") }
		_, err := Run(t.Context(), c.config)
		require.ErrorContains(t, err, c.want)
	}
}

func TestRatio(t *testing.T) {
	t.Parallel()
	first := &Result{Transport: "shm", RoundP50: []int64{100, 200, 100}}
	require.Equal(t, &Ratio{"shm", 1, 3, 4}, ratio(first, &Result{RoundP50: []int64{300, 200, 400}}))
	first = &Result{Transport: "shm", RoundRates: []float64{4, 4}}
	require.Equal(t, &Ratio{"shm", 0.25, 0.375, 0.5}, ratio(first, &Result{RoundRates: []float64{1, 2}}))
}

func TestTakeTurns(t *testing.T) {
	t.Parallel()
	var turns []string
	require.NoError(t, takeTurns(3, 2, 7, func(round, i, n int) error {
		turns = append(turns, fmt.Sprint(round, i, n))
		return nil
	}))
	require.Equal(t, []string{"0 0 2", "0 1 2", "1 1 2", "1 0 2", "2 0 3", "2 1 3"}, turns)
}
