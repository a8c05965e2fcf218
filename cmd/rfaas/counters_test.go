//go:build cgo

package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Native code that writes over its own counters changes nothing but what is marked as its
// own claim: not what the agent and the kernel measure, and not what is billed for others.
func TestForgedCounters(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.agent("a", "--cores", "1", "--partial-isolation")
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "counters.so"), read(t, "testdata/counters.c"))
	succeed(t, dir, "pack", "-o", "counters.rfaas", "--function", "forge=forge", "counters.so")
	write(t, dir, "a", "a")
	write(t, dir, "b", "b")
	begun := time.Now()
	succeed(t, dir, "run", "--manager", c.url, "-f", "counters.rfaas:forge", "-o", "out", "a")
	require.Equal(t, "1", read(t, dir, "out/a"), "%s", &c.agents["a"].stderr)
	succeed(t, dir, "run", "--manager", c.url, "-f", "echo", "-o", "echoed", "a", "b")
	took := time.Since(begun)

	type row struct {
		Claimed     bool          `json:"claimed"`
		Invocations uint64        `json:"invocations"`
		CoreTime    time.Duration `json:"core_ns"`
	}
	var measured, claimed row
	require.True(t, eventually(programTimeout, func() bool {
		stdout := succeed(t, dir, "bill", "--manager", c.url, "--format", "json")
		for _, r := range decodeLines[row](t, stdout) {
			if r.Claimed {
				claimed = r
			} else {
				measured = r
			}
		}
		return measured.Invocations >= 2 && claimed.Invocations > 0 // while a lease is in use, its bill grows
	}))
	const forged = 0x1111111111111111
	require.GreaterOrEqual(t, claimed.Invocations, uint64(forged))
	require.EqualValues(t, 2, measured.Invocations, "those of the other lease")
	require.Zero(t, claimed.CoreTime)
	require.Positive(t, measured.CoreTime)
	require.Less(t, measured.CoreTime, took)
	c.end()
}
