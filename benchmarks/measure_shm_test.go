//go:build measure

package benchmarks

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

const million = 1_000_000

// TestMeasureBudgets compares the tests over shared memory with the bare medium
// of the same rounds.
func TestMeasureBudgets(t *testing.T) {
	t.Run("latency", func(t *testing.T) {
		f := interleave(t,
			ours("baseline-shm-lat 8 B", Config{Test: "baseline-shm-lat", Iterations: million}),
			ours("write-lat 64 B", Config{Test: "write-lat", Iterations: million}),
			ours("write-imm-lat 64 B", Config{Test: "write-imm-lat", Iterations: million}),
			ours("send-lat 64 B", Config{Test: "send-lat", Iterations: million}))
		t.Logf("write-imm-lat / baseline-shm-lat %.3f", ratio(f[2], f[0]))
		require.LessOrEqual(t, ratio(f[2], f[0]), 1.5)
	})
	t.Run("wake-up", func(t *testing.T) {
		f := interleave(t,
			ours("baseline-block-lat", Config{Test: "baseline-block-lat", Iterations: 10_000}),
			ours("write-imm-lat 64 B, warm", Config{Test: "write-imm-lat", Mode: Warm, Iterations: 10_000}))
		t.Logf("warm write-imm-lat / baseline-block-lat %.3f", ratio(f[1], f[0]))
	})
	t.Run("bandwidth", func(t *testing.T) {
		f := interleave(t,
			ours("baseline-memcpy-bw 1 MiB", Config{Test: "baseline-memcpy-bw", Iterations: 8192}),
			ours("write-bw 1 MiB", Config{Test: "write-bw", Iterations: 8192}))
		t.Logf("write-bw / baseline-memcpy-bw %.3f", ratio(f[1], f[0]))
		require.GreaterOrEqual(t, ratio(f[1], f[0]), 0.9)
	})
}

// TestMeasureUCX compares with ucx_perftest over its shared memory. It
// prints half of a round trip; here it is doubled.
func TestMeasureUCX(t *testing.T) {
	for _, size := range []int{8, 64} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			sizes := []int{size}
			f := interleave(t,
				ours("write-imm-lat", Config{Test: "write-imm-lat", Sizes: sizes, Iterations: million}),
				ours("send-lat", Config{Test: "send-lat", Sizes: sizes, Iterations: million}),
				ours("write-lat", Config{Test: "write-lat", Sizes: sizes, Iterations: million}),
				ucx{name: "UCX tag_lat x 2", over: "posix", size: size, iterations: million, args: []string{"-t", "tag_lat"}}.contender(),
				ucx{name: "UCX put_lat x 2", over: "posix", size: size, iterations: million, args: []string{"-t", "put_lat", "-x", "posix", "-d", "memory"}}.contender())
			t.Logf("write-imm-lat / tag_lat %.3f   send-lat / tag_lat %.3f   write-lat / put_lat %.3f", ratio(f[0], f[3]), ratio(f[1], f[3]), ratio(f[2], f[4]))
			require.Less(t, ratio(f[0], f[3]), 1.0)
		})
	}
}
