package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/benchmarks"
)

// benchResults runs bench with --json and returns what it printed.
func benchResults(t *testing.T, dir string, args ...string) []benchmarks.Result {
	t.Helper()
	return decodeLines[benchmarks.Result](t, succeed(t, dir, append([]string{"bench", "--json"}, args...)...))
}

// Functions that come with the program are measured beside the echo, once each.
func TestBenchFunctions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var got []string
	for _, r := range benchResults(t, dir, "invoke-lat", "cold-start", "-f", "echo", "-f", "noop", "--mode", "warm", "--iterations", "2", "--plot", "plot.svg") {
		got = append(got, fmt.Sprint(r.Test, " ", r.Function, " ", r.Runtime, " ", r.Start, r.Cache))
		require.Positive(t, r.RTT.P50)
		require.Equal(t, r.Test == "invoke-lat" && r.Function == "noop", r.Beside != nil)
		require.Equal(t, r.Test == "cold-start", r.Steps != nil)
	}
	require.Equal(t, []string{
		"invoke-lat echo go ", "invoke-lat noop go ",
		"cold-start echo go cold", "cold-start echo go spare", "cold-start noop go cold", "cold-start noop go spare",
	}, got)
	require.Equal(t, []string{"plot.svg"}, namesIn(t, dir))
	require.Contains(t, read(t, dir, "plot.svg"), "cold-start noop spare")

	results := benchResults(t, dir, "cold-start", "--iterations", "1")
	require.Len(t, results, 2, "without functions it is the echo")
	require.Equal(t, "echo", results[0].Function)
	require.Equal(t, "noop", benchResults(t, dir, "invoke-lat", "--iterations", "1", "-f", "noop", "--mode", "warm")[1].Function)
	require.Empty(t, benchResults(t, dir, "invoke-lat", "--iterations", "1", "--mode", "warm")[0].Function)
}

// lease-lat has all that leases are compared with in one run, of the program's own echo.
func TestBenchLeases(t *testing.T) {
	t.Parallel()
	var got []string
	for _, r := range benchResults(t, t.TempDir(), "lease-lat", "--mode", "adaptive", "--iterations", "2") {
		got = append(got, fmt.Sprint(r.Test, " ", r.Function, " ", r.Start))
		require.Positive(t, r.RTT.P50)
	}
	require.Equal(t, []string{
		"lease-lat  ", "send-lat  ", "lease-used echo cold", "lease-first-call echo cold", "lease-first-call echo spare",
		"cold-start echo cold", "cold-start echo spare",
	}, got)
}

func TestBenchFunctionsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	refuses(t, dir, []string{"bench"}, map[string][]string{
		"--function: write-lat calls none; those that do: invoke-lat, lease-lat, lease-": {"invoke-lat", "write-lat", "-f", "echo"},
		`rfaas bench: unknown function "nothing"; there are: thumbnailer`:                {"invoke-lat", "-f", "nothing"},
		"--transport: loopback does not leave the process, and functions run":            {"cold-start", "--transport", "loopback:"},
	})
	require.Contains(t, fails(t, dir, "bench", "cold-start", "-f", "nothing.so"), "open nothing.so: no such file or directory")
	stderr := fails(t, dir, "bench", "invoke-lat", "-f", "test-panic", "--mode", "warm")
	require.Contains(t, stderr, "rfaas bench: invoke-lat at 64 bytes: test-panic: ")
	require.Contains(t, stderr, "the function's own")
}

// Measurements have a cache of their own, which is gone afterwards.
func TestOwnCache(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	former, err := os.UserCacheDir()
	require.NoError(t, err)
	remove, err := ownCache()
	require.NoError(t, err)
	own, err := os.UserCacheDir()
	require.NoError(t, err)
	require.NotEqual(t, former, own)
	require.NoError(t, os.MkdirAll(own+"/rfaas/wasm", 0o700))
	remove()
	require.NoDirExists(t, own)
	now, err := os.UserCacheDir()
	require.NoError(t, err)
	require.Equal(t, former, now)
}
