//go:build cgo

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke/executor"
)

// WebAssembly is compiled by a process that is isolated, once, and kept for others.
func TestCompiledOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // executors of root have users of their own
	wasmModule(t, dir, "directories")
	cache := filepath.Join(dir, "cache")
	compiledBy := func(args ...string) (processes int) {
		t.Helper()
		s := startWith(t, dir, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Environ(), "XDG_CACHE_HOME="+cache) },
			append([]string{"invoke", "directories.wasm", "--data", "a", "--log-level", "info", "--log-format", "json"}, args...)...)
		s.wait() // with an error: it gets no directories
		require.Contains(t, s.stderr.String(), "executor started")
		for line := range strings.Lines(s.stderr.String()) {
			if !strings.HasPrefix(line, "rfaas invoke: ") { // the last word
				require.True(t, json.Valid([]byte(line)), line)
			}
		}
		return strings.Count(s.stderr.String(), `"msg":"code compiled"`)
	}
	require.Equal(t, 1, compiledBy())
	kept := namesIn(t, cache, "rfaas", "wasm")
	require.Len(t, kept, 1)
	require.Zero(t, compiledBy(), "it was kept")
	require.Zero(t, compiledBy("--trust-code"), "by the executor, if at all")
	require.Equal(t, kept, namesIn(t, cache, "rfaas", "wasm"))

	require.NoError(t, os.Truncate(filepath.Join(cache, "rfaas", "wasm", kept[0], "sums"), 1))
	require.Equal(t, 1, compiledBy(), "it is damaged")
	require.NoError(t, os.RemoveAll(cache))
	write(t, dir, "cache", "no folder")
	require.Equal(t, 1, compiledBy(), "it cannot be kept")
}

// TestNoCompiledCodeIsKept: who is isolated keeps no compiled code, although it has a home.
func TestNoCompiledCodeIsKept(t *testing.T) {
	dir := t.TempDir()
	wasmModule(t, dir, "directories")
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	code, err := os.Open(filepath.Join(dir, "directories.wasm"))
	require.NoError(t, err)
	defer code.Close()
	for _, isolated := range []bool{true, false} {
		m, err := loadWasm(t.Context(), executor.Code{File: code, MemoryBytes: 64 << 20, Isolated: isolated})
		require.NoError(t, err)
		require.NoError(t, m.Close())
		require.Equal(t, !isolated, exists(filepath.Join(dir, "cache")))
	}
}
