//go:build cgo

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// smallModule is one with an entry point "f". It is not run.
const smallModule = "\x00asm\x01\x00\x00\x00\x01\x11\x03`\x01\x7f\x01\x7f`\x04\x7f\x7f\x7f\x7f\x01\x7f`\x00\x00\x03\x03\x02\x00\x01\x05\x03\x01\x00\x02\x07\x1c\x03\x06memory\x02\x00\x0brfaas_alloc\x00\x00\x01f\x00\x01\x0a\x0c\x02\x05\x00A\x80\x08\x0b\x04\x00A\x00\x0b"

// Without Landlock nothing keeps code from its user's files: it is not run, be it native or
// WebAssembly, and the error says what is missing, and what does without it.
func TestIsolatedWithoutLandlock(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root gives code a user of its own, and does without Landlock; .ci/run has this test without root")
	}
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "quiet.so"), `
		#include <stdint.h>
		uint32_t quiet(void *in, uint32_t size, void *out) { return 0; }`)
	write(t, dir, "small.wasm", smallModule)
	wrapper := filepath.Join(dir, "nolandlock")
	out, err := exec.Command("gcc", "-o", wrapper, filepath.Join("testdata", "nolandlock.c")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	program, err := os.Executable()
	require.NoError(t, err)
	write(t, dir, "input", "x")
	without := func(args ...string) (status int, said string) {
		t.Helper()
		s := startWith(t, dir, func(cmd *exec.Cmd) {
			cmd.Path, cmd.Args = wrapper, append([]string{wrapper, program}, args...)
			cmd.Env = append(cmd.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
		})
		return s.wait(), s.stdout.String() + s.stderr.String()
	}
	for _, command := range [][]string{
		{"invoke", "quiet.so", "--data", "x"},
		{"invoke", "small.wasm", "--data", "x"},
		{"run", "-f", "quiet.so", "-o", "out", "input"},
	} {
		status, said := without(command...)
		require.Equal(t, exitFailed, status, said)
		require.Contains(t, said, "landlock is required: the kernel has no Landlock")
		require.Contains(t, said, "CONFIG_SECURITY_LANDLOCK")
		require.Contains(t, said, "; --trust-code runs the function without isolation")
		require.NotContains(t, said, "| rfaas", "it is no function that says so")
	}
	status, said := without("invoke", "quiet.so", "--data", "x", "--trust-code")
	require.Equal(t, exitOK, status, said)
}
