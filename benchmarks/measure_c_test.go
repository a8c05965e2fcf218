//go:build measure

package benchmarks

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// agreement is how much our baselines may differ from the C programs.
const agreement = 0.15

// TestMeasureC compares the baselines with independent C
// programs that do the same.
func TestMeasureC(t *testing.T) {
	allowed, err := allowedCPUs()
	require.NoError(t, err)
	measuring, peer, note := choosePair(readTopology(os.DirFS("/sys"), allowed))
	t.Log(note)
	cpu, peerCPU := strconv.Itoa(measuring), strconv.Itoa(peer)
	copies, stream := bulkSlots(bulkSize, bulkDepth), newSegmentation(bulkSize)

	for _, c := range []struct {
		name   string
		config Config
		source string
		args   []string
	}{
		{"one line bounced, 8 B, ns", Config{Test: "baseline-shm-lat", Iterations: 500_000}, "baseline_shm_lat", []string{cpu, peerCPU, "8", "500000", "10000"}},
		{"one line bounced, 64 B, ns", Config{Test: "baseline-shm-lat", Sizes: []int{64}, Iterations: 500_000}, "baseline_shm_lat", []string{cpu, peerCPU, "64", "500000", "10000"}},
		{"blocking wake-up, ns", Config{Test: "baseline-block-lat", Iterations: 10_000}, "baseline_block_lat", []string{cpu, peerCPU, "10000", "1000"}},
		{"copy of 1 MiB, bytes/s", Config{Test: "baseline-memcpy-bw", Iterations: 8192}, "baseline_memcpy_bw",
			[]string{cpu, strconv.Itoa(copies.size), strconv.Itoa(copies.stride), strconv.Itoa(copies.count), "8192", "800"}},
		{"UDP round trip, 64 B, ns", Config{Test: "baseline-udp-lat", Iterations: 100_000}, "baseline_udp_lat", []string{cpu, peerCPU, "64", "100000", "10000"}},
		{"UDP round trip, 8 B, ns", Config{Test: "baseline-udp-lat", Sizes: []int{8}, Iterations: 100_000}, "baseline_udp_lat", []string{cpu, peerCPU, "8", "100000", "10000"}},
		{"UDP stream, bytes/s", Config{Test: "baseline-udp-bw", Iterations: 4096}, "baseline_udp_bw",
			[]string{cpu, peerCPU, strconv.Itoa(segmentPayload), strconv.Itoa(segmentOverhead), strconv.Itoa(stream.batch),
				strconv.Itoa(4096 * stream.perMessage), strconv.Itoa(400 * stream.perMessage)}},
	} {
		t.Run(c.source, func(t *testing.T) {
			program := compile(t, c.source)
			f := interleave(t, ours("Go: "+c.name, c.config), contender{"C:  " + c.name, func(t *testing.T) float64 {
				return runC(t, program, c.args...)
			}})
			r := ratio(f[0], f[1])
			t.Logf("Go / C %.3f", r)
			require.InDelta(t, 1, r, agreement)
		})
	}
}

func compile(t *testing.T, source string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), source)
	out, err := exec.CommandContext(t.Context(), "gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, filepath.Join("testdata", source+".c")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// runC is the figure that a C program prints: the median, or the rate.
func runC(t *testing.T, program string, args ...string) float64 {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).Output()
	require.NoError(t, err)
	var figures struct {
		P50  float64 `json:"p50"`
		Rate float64 `json:"bytes_per_s"`
	}
	require.NoError(t, json.Unmarshal(out, &figures))
	return figures.P50 + figures.Rate // it has one of them
}
