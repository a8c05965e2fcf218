//go:build measure

package benchmarks

import (
	"testing"

	"github.com/stretchr/testify/require"

	_ "github.com/rfaas-go/rfaas/transport/all"
)

const softroce = "softroce"

// TestMeasureRoCE compares RoCE in user space with the bare medium and with UCX
// over TCP, in the same rounds, all on the loopback interface.
func TestMeasureRoCE(t *testing.T) {
	t.Run("latency", func(t *testing.T) {
		const iterations = 100_000
		f := interleave(t,
			ours("baseline-udp-lat 8 B", Config{Test: "baseline-udp-lat", Sizes: []int{8}, Iterations: iterations}),
			overRoCE("write-lat 8 B", Config{Test: "write-lat", Sizes: []int{8}, Iterations: iterations}),
			overRoCE("write-imm-lat 8 B", Config{Test: "write-imm-lat", Sizes: []int{8}, Iterations: iterations}),
			overRoCE("invoke-lat 8 B", Config{Test: "invoke-lat", Sizes: []int{8}, Iterations: iterations}),
			ucx{name: "UCX tcp tag_lat 8 B x 2", over: "tcp", size: 8, iterations: iterations, args: []string{"-t", "tag_lat"}}.contender())
		call := difference(f[3], f[2])
		t.Logf("write-lat / baseline-udp-lat %.3f   write-imm-lat / UCX tcp tag_lat %.3f   invoke-lat - write-imm-lat %.0f ns", ratio(f[1], f[0]), ratio(f[2], f[4]), call)
		require.LessOrEqual(t, ratio(f[1], f[0]), 1.35)
		require.Less(t, ratio(f[2], f[4]), 1.0)
		require.LessOrEqual(t, call, 150.0)
	})
	t.Run("bandwidth", func(t *testing.T) {
		const iterations = 2048
		f := interleave(t,
			ours("baseline-udp-bw 1 MiB", Config{Test: "baseline-udp-bw", Iterations: iterations}),
			overRoCE("write-bw 1 MiB", Config{Test: "write-bw", Iterations: iterations}),
			ucx{name: "UCX tcp put_bw 1 MiB", over: "tcp", size: bulkSize, iterations: iterations, bandwidth: true,
				args: []string{"-t", "put_bw", "-x", "tcp", "-d", "lo", "-D", "zcopy", "-w", "200"}}.contender(),
			ucx{name: "UCX tcp ucp_put_bw 1 MiB", over: "tcp", size: bulkSize, iterations: iterations, bandwidth: true,
				args: []string{"-t", "ucp_put_bw", "-w", "200"}}.contender())
		t.Logf("write-bw / baseline-udp-bw %.3f   write-bw / UCX tcp put_bw %.3f, ucp_put_bw %.3f", ratio(f[1], f[0]), ratio(f[1], f[2]), ratio(f[1], f[3]))
		require.GreaterOrEqual(t, ratio(f[1], f[0]), 0.6)
		require.Greater(t, ratio(f[1], f[2]), 1.0)
		require.Greater(t, ratio(f[1], f[3]), 1.0)
	})
}

// overRoCE is ours over RoCE. It also tells of what went wrong on the way, and
// requires that its loop does not allocate.
func overRoCE(name string, c Config) contender {
	c.Transport = softroce + ":"
	return contender{name, func(t *testing.T) float64 {
		r := runOne(t, c)[0]
		if list := troubles(r.Counters); list != "" {
			t.Logf("%s: %s", name, list)
		}
		require.Less(t, r.AllocsPerOp, 0.05, name) // what happens by the clock may allocate
		return figure(r)
	}}
}
