package benchmarks

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
)

// few is enough to go round every ring of buffers several times.
const few = 300

// Measurements run one at a time: each wants two cores for itself.
func runOne(t *testing.T, c Config) []Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	results, err := Run(ctx, c)
	require.NoError(t, err)
	return results
}

// requireTwoCores skips what polls on two cores where there are none.
func requireTwoCores(t *testing.T) {
	t.Helper()
	allowed, err := allowedCPUs()
	require.NoError(t, err)
	if len(allowed) < 2 {
		t.Skip("two cores are needed, one is allowed")
	}
}

// sizesFor are a test's sizes at which something changes: the least, around the
// inline limit, odd ones, and where fewer buffers fit the window. In other modes
// than its first it only waits differently.
func sizesFor(info TestInfo, mode string) []int {
	switch info.Name {
	case "atomic-lat", "baseline-block-lat":
		return []int{8}
	case "baseline-shm-lat":
		return []int{8, 64, 4096}
	case "baseline-udp-lat":
		return []int{1, 64, maxDatagramBytes}
	}
	switch {
	case mode != info.Modes[0]:
		return []int{64, inlineLimit + 1}
	case effort.Race(): // the detector looks at every byte that is copied
		return []int{1, 7, inlineLimit, inlineLimit + 1}
	}
	if !effort.Whole() {
		return []int{1, inlineLimit + 1, 300_001}
	}
	return []int{1, 7, inlineLimit, inlineLimit + 1, 300_001, 3 << 20}
}

// Every test in every mode, over a transport in this process and over shared
// memory between two.
func TestEveryTest(t *testing.T) {
	requireTwoCores(t)
	for _, transport := range []string{"loopback:", "shm:"} {
		for _, info := range Tests() {
			if transport == "loopback:" && !effort.Whole() && info.Name != "write-lat" && info.Name != "invoke-rate" {
				continue // the program is the same
			}
			bare := strings.HasPrefix(info.Name, "baseline-")
			if bare && transport != "shm:" || info.NeedsFunctions { // see TestColdStart
				continue
			}
			if effort.Race() && transport == "loopback:" && info.Name == "write-lat" {
				continue // single bytes are watched as they are written
			}
			for _, mode := range info.Modes {
				t.Run(transport+info.Name+"/"+mode, func(t *testing.T) {
					sizes := sizesFor(info, mode)
					results := runOne(t, Config{Test: info.Name, Transport: transport, Sizes: sizes, Iterations: few, Mode: mode})
					require.Len(t, results, len(sizes))
					for i, r := range results {
						requireSensible(t, r, info, sizes[i], mode)
						switch {
						case info.Name == "baseline-memcpy-bw":
							require.Zero(t, r.PeerPID)
							require.Equal(t, "none", r.Transport)
						case bare:
							require.NotEqual(t, os.Getpid(), r.PeerPID)
							require.Equal(t, "none", r.Transport)
						default:
							require.Equal(t, transport == "loopback:", os.Getpid() == r.PeerPID)
							require.Equal(t, transport, r.Transport+":")
						}
						if r.PeerPID != 0 && r.PeerPID != os.Getpid() {
							require.ErrorIs(t, syscall.Kill(r.PeerPID, 0), syscall.ESRCH, "the peer has ended and was reaped")
						}
					}
				})
			}
		}
	}
}

func requireSensible(t *testing.T, r Result, info TestInfo, size int, mode string) {
	t.Helper()
	require.Equal(t, info.Name, r.Test)
	require.Equal(t, mode, r.Mode)
	require.Equal(t, size, r.SizeBytes)
	require.Equal(t, few, r.Iterations)
	require.Positive(t, r.OpsPerSecond)
	require.InEpsilon(t, r.OpsPerSecond*float64(size), r.BytesPerSecond, 0.01)
	require.GreaterOrEqual(t, r.AllocsPerOp, 0.0)
	if info.Bandwidth {
		require.Zero(t, r.RTT)
		require.Empty(t, r.Distribution())
		return
	}
	require.Positive(t, r.RTT.Min)
	require.True(t, slices.IsSorted([]int64{r.RTT.Min, r.RTT.P50, r.RTT.P99, r.RTT.P999, r.RTT.Max}), "%+v", r.RTT)
	var samples, ns int64
	for _, b := range r.Distribution() {
		samples += b.Count
		ns += b.Count * b.From
	}
	require.Equal(t, int64(few), samples, "every round trip is a sample")
	// The samples follow each other without a gap, so that together they last as
	// long as the whole. The rate is rounded.
	whole := float64(few) / (r.OpsPerSecond - 0.0005) * 1e9
	require.LessOrEqual(t, float64(ns), whole)
}

// The depth bounds what is outstanding, whether batches divide it or not.
func TestDepths(t *testing.T) {
	requireTwoCores(t)
	for _, test := range []string{"write-bw", "read-bw", "send-bw"} {
		for _, depth := range []int{1, 2, 3, 9, 100} {
			runOne(t, Config{Test: test, Sizes: []int{100, 1 << 20}, Iterations: few, Depth: depth})
		}
	}
}

// In hot mode nothing is allocated per operation, by either process.
func TestHotLoopsDoNotAllocate(t *testing.T) {
	requireTwoCores(t)
	const iterations = 20_000
	for _, info := range Tests() {
		if info.Modes[0] != Hot || info.Name == leaseLat { // a lease is something to remember
			continue
		}
		for _, r := range runOne(t, Config{Test: info.Name, Iterations: iterations, Sizes: []int{max(8, min(64, info.DefaultSize))}}) {
			// Less than once in a batch of 16. What happens by the clock, in the
			// runtime and in a provider's background, depends on how busy the machine is.
			require.Less(t, r.AllocsPerOp, 0.05, r.Test)
		}
	}
}

func TestResultsAndNotesAreReported(t *testing.T) {
	requireTwoCores(t)
	var seen []Result
	var notes []string
	results := runOne(t, Config{Test: "send-lat", Transport: "loopback:", Sizes: []int{8, 64}, Iterations: few, Baseline: true,
		OnResult: func(r Result) { seen = append(seen, r) },
		OnNote:   func(s string) { notes = append(notes, s) },
	})
	require.Equal(t, results, seen)
	require.Len(t, seen, 4)
	require.Contains(t, notes, "loopback does not leave the process: both sides run in this one")
	unique := slices.Compact(slices.Sorted(slices.Values(notes)))
	require.Len(t, unique, len(notes), "each remark once")
}

// A program without the hook must not start itself over and over.
func TestWithoutHook(t *testing.T) {
	hooked.Store(false)
	defer hooked.Store(true)
	_, err := Run(t.Context(), Config{Test: "baseline-shm-lat", Iterations: 10})
	require.ErrorIs(t, err, errNotHooked)
}

func TestProfiles(t *testing.T) {
	for kind, file := range profileFile {
		dir := t.TempDir()
		runOne(t, Config{Test: "baseline-memcpy-bw", Iterations: 2000, Profile: kind, ProfileDir: dir})
		info, err := os.Stat(fmt.Sprintf("%s/%s", dir, file))
		require.NoError(t, err)
		require.Positive(t, info.Size(), kind)
	}
}
