package benchmarks

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadConfigurations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	for _, c := range []struct {
		config Config
		want   string // in the error
	}{
		{Config{Test: "write-latency"}, `unknown test "write-latency": there are write-lat, write-imm-lat, send-lat,`},
		{Config{Test: "write-lat", Mode: "lukewarm"}, `--mode "lukewarm": must be one of hot, warm, adaptive`},
		{Config{Test: "write-lat", Mode: Warm}, "--mode warm: write-lat runs in mode hot only (it spins on memory; write-imm-lat has something to sleep on)"},
		{Config{Test: "baseline-block-lat", Mode: Hot}, "--mode hot: baseline-block-lat runs in mode warm only (it sleeps; baseline-shm-lat spins)"},
		{Config{Test: "send-lat", Sizes: []int{64, 0}}, "--size 0: send-lat takes 1 to 1073741824 bytes"},
		{Config{Test: "send-lat", Sizes: []int{-1}}, "--size -1: send-lat takes 1 to 1073741824 bytes"},
		{Config{Test: "write-bw", Sizes: []int{1 << 31}}, "--size 2147483648: write-bw takes 1 to 1073741824 bytes"},
		{Config{Test: "atomic-lat", Sizes: []int{16}}, "--size 16: atomic-lat takes 8 bytes"},
		{Config{Test: "baseline-shm-lat", Sizes: []int{12}}, "--size 12: baseline-shm-lat takes multiples of 8 from 8 to 1073741824 bytes"},
		{Config{Test: "baseline-udp-lat", Sizes: []int{65508}}, "--size 65508: baseline-udp-lat takes 1 to 65507 bytes"},
		{Config{Test: "baseline-udp-lat", Mode: Warm}, "--mode warm: baseline-udp-lat runs in mode hot only (it polls its socket; baseline-block-lat sleeps)"},
		{Config{Test: "baseline-udp-bw", Connect: "127.0.0.1:1"}, "--connect: baseline-udp-bw measures this machine and has no peer on another one"},
		{Config{Test: "send-lat", Iterations: -1}, "--iterations -1: must be 1 to 2147483647"},
		{Config{Test: "send-lat", Depth: 2}, "--depth 2: send-lat keeps one operation in flight"},
		{Config{Test: "write-bw", Depth: 5000}, "--depth 5000: must be 1 to 4096"},
		{Config{Test: "write-bw", Depth: -1}, "--depth -1: must be 1 to 4096"},
		{Config{Test: "write-bw", Workers: 2}, "--workers 2: write-bw has one worker"},
		{Config{Test: "write-bw", Profile: "heap"}, `--profile "heap": must be one of cpu, mem, trace`},
		{Config{Test: "write-bw", Profile: "cpu", ProfileDir: plain}, "--profile: "},
		{Config{Test: "baseline-memcpy-bw", Connect: "127.0.0.1:1"}, "--connect: baseline-memcpy-bw measures this machine and has no peer on another one"},
		{Config{Test: "write-bw", Connect: "127.0.0.1:1", Baseline: true}, "--baseline: measures this machine, not the network of --connect"},
		{Config{Test: "write-bw", Connect: "127.0.0.1:1"}, "--connect: shm connects processes of one machine only; drop --connect, or choose another --transport"},
		{Config{Test: "write-bw", Transport: "carrier-pigeon:"}, `no provider for scheme "carrier-pigeon" is built in`},
	} {
		results, err := Run(t.Context(), c.config)
		require.ErrorContains(t, err, c.want)
		if strings.HasPrefix(c.want, "--") {
			require.True(t, strings.HasPrefix(err.Error(), "--"), "errors about flags begin with the flag: %v", err)
			_, flag := errors.AsType[*FlagError](err)
			require.True(t, flag)
		}
		require.Empty(t, results)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{plain}, left, "nothing is written before the configuration is known to be good")
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, info := range Tests() {
		require.False(t, names[info.Name], "two tests are called %s", info.Name)
		names[info.Name] = true
		c := Config{Test: info.Name}
		if info.NeedsFunctions {
			c.Functions = []Function{golang("echo")}
		}
		all, err := plan(c)
		require.NoError(t, err)
		require.Len(t, all, 1)
		p := all[0]
		require.Equal(t, info.DefaultSize, p.SizeBytes)
		require.Equal(t, info.Modes[0], p.Mode)
		require.Positive(t, p.Iterations)
		require.Positive(t, p.Warmup)
		require.Positive(t, p.Depth)
		require.NotEmpty(t, info.About)
	}
}
