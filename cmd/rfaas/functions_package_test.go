//go:build cgo

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
)

// Functions of files are called, and what they do to their process is reported.
func TestInvokePackage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	library(t, dir, "text.so")
	status, _, stderr := run(t, dir, "pack", "-o", "limited.rfaas", "--function", "spin=spin", "--time-limit", "100ms", "text.so")
	require.Equal(t, exitOK, status, stderr)
	for _, c := range []struct {
		function string
		status   int
		stdout   string
		stderr   string
	}{
		{"text.so:upper", exitOK, "THIS IS A", ``},
		{"text.so:crash", exitFailed, "", `rfaas invoke: executor \(process \d+\): killed by signal 11 \(segmentation fault\) while function "crash" ran\n$`},
		{"limited.rfaas", exitFailed, "", `rfaas invoke: executor \(process \d+\): killed because function "spin" took longer than its time limit of 100ms; allow its package more with rfaas pack --time-limit\n$`},
		{"text.so", exitFailed, "", `the code has 3 functions: choose one with text.so:NAME; there are: crash, spin, upper \(text.so\)`},
		{"text.so:lower", exitFailed, "", `the code has no entry point "lower"; there are: crash, spin, upper \(text.so\)`},
	} {
		status, stdout, stderr := run(t, dir, "invoke", c.function, "--data", "this is a")
		require.Equal(t, c.status, status, stderr)
		require.Equal(t, c.stdout, stdout)
		require.Regexp(t, c.stderr, stderr)
	}
}

// Inputs and results do not count to the memory of the function: 100 MiB of each can be
// had with 16 MiB. What the function takes itself does.
func TestInvokePackageLimited(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "memory.so"), `
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
uint32_t echo(void *args, uint32_t size, void *res) { memcpy(res, args, size); return size; }
uint32_t bomb(void *args, uint32_t size, void *res)
{
	void *mem;
	while ((mem = mmap(0, 1 << 24, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)) != MAP_FAILED);
	memcpy(res, "no memory", 9);
	return 9;
}`)
	succeed(t, dir, "pack", "-o", "small.rfaas", "--function", "echo=echo", "--function", "bomb=bomb", "--memory", "16MiB", "memory.so")
	write(t, dir, "in", strings.Repeat("0123456789abcdef", effort.Of(20, 100)<<16))
	for _, command := range [][]string{
		{"invoke", "small.rfaas:echo", "--in", "in", "-o", "out/in"},
		{"run", "-f", "small.rfaas:echo", "-o", "out", "in"},
	} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "out"), 0o777))
		succeed(t, dir, command...)
		require.True(t, read(t, dir, "in") == read(t, dir, "out/in"), command)
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "out")))
	}
	status, stdout, stderr := run(t, dir, "invoke", "small.rfaas:bomb", "--in", "in")
	if status == exitOK { // only root may make control groups
		require.Equal(t, "no memory", stdout)
		return
	}
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, `killed because it used up its memory (its limit is 16777216 bytes) while function "bomb" ran; allow its package more with rfaas pack --memory`)
}

// Functions of files are measured, each as it is run.
func TestBenchPackage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	library(t, dir, "text.so")
	results := benchResults(t, dir, "invoke-lat", "cold-start", "-f", "text.so:upper", "--mode", "warm", "--iterations", "2")
	require.Len(t, results, 6)
	require.Equal(t, "native", results[1].Runtime)
	require.Equal(t, "text.so:upper", results[1].Function)
	require.Equal(t, "echo", results[1].Beside.To)
	stderr := fails(t, dir, "bench", "cold-start", "-f", "text.so:crash")
	require.Regexp(t, `rfaas bench: cold-start at 64 bytes: text.so:crash: executor \(process \d+\): killed by signal 11 \(segmentation fault\) while function "crash" ran\n$`, stderr)
}

// Functions of files are isolated, unless --trust-code is given.
func TestPackageIsIsolated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "isolated.so"), `
#include <stdint.h>
#include <stdlib.h>
uint32_t isolated(void *args, uint32_t size, void *res)
{
	if (getenv("`+asProgram+`")) abort(); /* an isolated process has no environment */
	return 0;
}`)
	for _, command := range [][]string{
		{"run", "-f", "isolated.so", "-"},
		{"invoke", "isolated.so"},
		{"bench", "invoke-lat", "-f", "isolated.so", "--mode", "warm", "--iterations", "1"},
	} {
		succeed(t, dir, command...)
		status, stdout, stderr := run(t, dir, append(command, "--trust-code")...)
		require.Equal(t, exitFailed, status, stderr)
		require.Contains(t, stdout+stderr, "killed by signal 6 (aborted)")
	}
}
