package benchmarks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// The bare medium is that of the device, at the nearest size that it has.
func TestBaselineParams(t *testing.T) {
	t.Parallel()
	require.Equal(t, sharedMemoryMedium, mediumOf(transport.FeatureCrossProcess))
	require.Equal(t, datagramMedium, mediumOf(transport.FeatureCrossProcess|transport.FeatureCrossHost))
	for _, c := range []struct {
		test, mode string
		size       int
		medium     medium
		want       string // "" for none
		wantSize   int
	}{
		{"send-lat", Hot, 1, sharedMemoryMedium, "baseline-shm-lat", 8},
		{"write-lat", Hot, 100, sharedMemoryMedium, "baseline-shm-lat", 104},
		{"invoke-lat", Warm, 100, sharedMemoryMedium, "baseline-block-lat", 8},
		{"invoke-rate", Adaptive, 64, sharedMemoryMedium, "baseline-shm-lat", 64},
		{"read-lat", Warm, 64, sharedMemoryMedium, "baseline-shm-lat", 64},
		{"read-bw", Warm, 4096, sharedMemoryMedium, "baseline-memcpy-bw", 4096},
		{"write-imm-lat", Hot, 1, datagramMedium, "baseline-udp-lat", 1},
		{"write-lat", Hot, 1 << 20, datagramMedium, "baseline-udp-lat", 65507},
		{"send-lat", Warm, 64, datagramMedium, "baseline-block-lat", 8},
		{"atomic-lat", Warm, 8, datagramMedium, "baseline-udp-lat", 8},
		{"send-bw", Hot, 1 << 20, datagramMedium, "baseline-udp-bw", 1 << 20},
		{"invoke-bw", Adaptive, 100, datagramMedium, "baseline-udp-bw", 100},
		{"baseline-shm-lat", Hot, 8, sharedMemoryMedium, "", 0},
		{"baseline-udp-bw", Hot, 8, datagramMedium, "", 0},
	} {
		all, err := plan(Config{Test: c.test, Mode: c.mode, Sizes: []int{c.size}, Iterations: 500, Baseline: true})
		require.NoError(t, err)
		require.Len(t, all, 1)
		b, ok := baselineParams(all[0], c.medium)
		require.Equal(t, c.want, b.Test, c.test)
		require.Equal(t, c.want != "", ok, c.test)
		require.Equal(t, c.wantSize, b.SizeBytes, c.test)
		if ok {
			require.Equal(t, 500, b.Iterations)
		}
	}
	deep, err := plan(Config{Test: "write-bw", Depth: 7})
	require.NoError(t, err)
	b, ok := baselineParams(deep[0], sharedMemoryMedium)
	require.True(t, ok)
	require.Equal(t, 7, b.Depth, "it goes round the same buffers")
	b, ok = baselineParams(deep[0], datagramMedium)
	require.True(t, ok)
	require.Equal(t, 1, b.Depth, "it has no depth")
}

// Each measurement is followed by that of the medium.
func TestBaselinesFollow(t *testing.T) {
	requireTwoCores(t)
	type step struct {
		test, transport string
		size            int
	}
	steps := func(c Config) (all []step) {
		c.Iterations, c.Baseline = few, true
		for _, r := range runOne(t, c) {
			all = append(all, step{r.Test, r.Transport, r.SizeBytes})
		}
		return all
	}
	require.Equal(t, []step{
		{"send-lat", "networked", 8}, {"baseline-udp-lat", "none", 8},
		{"send-lat", "networked", 100}, {"baseline-udp-lat", "none", 100},
	}, steps(Config{Test: "send-lat", Transport: "networked:", Sizes: []int{8, 100}}))
	require.Equal(t, []step{{"write-bw", "networked", 5000}, {"baseline-udp-bw", "none", 5000}},
		steps(Config{Test: "write-bw", Transport: "networked:", Sizes: []int{5000}}))
	require.Equal(t, []step{{"send-lat", "loopback", 8}, {"baseline-shm-lat", "none", 8}},
		steps(Config{Test: "send-lat", Transport: "loopback:", Sizes: []int{8}}))
	require.Equal(t, []step{{"baseline-udp-lat", "none", 8}},
		steps(Config{Test: "baseline-udp-lat", Transport: "nothing:", Sizes: []int{8}}))
}
