//go:build cgo

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// library compiles a shared object with the ABI of rFaaS.
func library(t *testing.T, dir, name string) string {
	t.Helper()
	const source = `
#include <stdint.h>
uint32_t upper(void *args, uint32_t size, void *res)
{
	unsigned char *in = args, *out = res;
	for (uint32_t i = 0; i < size; i++)
		out[i] = in[i] >= 'a' && in[i] <= 'z' ? in[i] - 32 : in[i];
	return size;
}
uint32_t crash(void *args, uint32_t size, void *res) { *(volatile int *)0 = 1; return 0; }
uint32_t spin(void *args, uint32_t size, void *res) { for (;;) __asm__ volatile(""); }
`
	path := filepath.Join(dir, name)
	compile(t, path, source)
	return path
}

// Functions of shared objects and of packages are called as those that come with
// the program.
func TestRunPackage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	library(t, dir, "text.so")
	for _, name := range []string{"a", "b"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("this is "+name+"\n"), 0o644))
	}
	stdout := succeed(t, dir, "run", "-f", "text.so:upper", "a", "b")
	require.Equal(t, "THIS IS A\nTHIS IS B\n", stdout)

	succeed(t, dir, "pack", "-o", "text.rfaas", "--function", "shout=upper,idempotent", "text.so")
	stdout = succeed(t, dir, "run", "-f", "text.rfaas", "-o", "out", "a", "b")
	require.Contains(t, stdout, "shout: 2 of 2 inputs done")
	result, err := os.ReadFile(filepath.Join(dir, "out", "b"))
	require.NoError(t, err)
	require.Equal(t, "THIS IS B\n", string(result))
}

// What a function of a package does to its process costs its own input only.
func TestRunPackageFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	library(t, dir, "text.so")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o644))
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-f", "text.so:crash"}, exitFailed, `a: worker process \d+ was lost: killed by signal 11 \(segmentation fault\) while function "crash" ran; not tried again, because crash is not declared idempotent`},
		{[]string{"-f", "limited.rfaas"}, exitFailed, `a: worker process \d+ was lost: killed because function "spin" took longer than its time limit of 100ms`},
		{[]string{"-f", "./a"}, exitFailed, `rfaas run: ./a is neither a package nor code, such as a script`},
	} {
		if c.args[1] == "limited.rfaas" {
			succeed(t, dir, "pack", "-o", "limited.rfaas", "--function", "spin=spin", "--time-limit", "100ms", "text.so")
		}
		status, stdout, stderr := run(t, dir, append(append([]string{"run", "-o", "out"}, c.args...), "a")...)
		require.Equal(t, c.status, status, stderr)
		require.Regexp(t, c.want, stdout+stderr)
		require.NoFileExists(t, filepath.Join(dir, "out", "a"))
	}
}
