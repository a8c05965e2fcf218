//go:build cgo

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// wasmModule compiles a module of a source in testdata.
func wasmModule(t *testing.T, dir, name string) {
	t.Helper()
	for _, tool := range []string{"clang", "wasm-ld"} {
		if _, err := exec.LookPath(tool); err != nil {
			require.Empty(t, os.Getenv("CI"), "%s is missing", tool)
			t.Skip(tool + " is missing")
		}
	}
	out, err := exec.Command("clang", "--target=wasm32", "-mbulk-memory", "-O2", "-nostdlib", "-Wl,--no-entry", "-I", "../../examples/wasm",
		"-o", filepath.Join(dir, name+".wasm"), filepath.Join("testdata", name+".c")).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// WebAssembly modules see the directories that they ask for and are given, and use
// them as far as they may, isolated or not.
func TestDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // executors of root have users of their own
	wasmModule(t, dir, "directories")
	for path, mode := range map[string]os.FileMode{"in": 0o755, "out": 0o777, "out/sub": 0o777, "closed": 0o700} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, path), mode))
		require.NoError(t, os.Chmod(filepath.Join(dir, path), mode))
	}
	write(t, filepath.Join(dir, "in"), "a", "hello")
	succeed(t, dir, "pack", "-o", "d.rfaas", "--wasi-directory", "in", "--wasi-directory", "out,writable", "directories.wasm")
	const give = "--directory"
	in, out := "in:/in", "out:/out:rw"

	for _, command := range [][]string{
		{"invoke", "d.rfaas", "--data", "a", give, in, give, out},
		{"invoke", "d.rfaas", "--data", "a", give, "in:/in:rw", give, out},
		{"invoke", "d.rfaas", "--data", "a", give, in, give, out, "--trust-code"},
		{"invoke", "directories.wasm", "--data", "a", give, in, give, out},
		{"run", "-f", "d.rfaas", give, in, give, out, "in/name"},
	} {
		write(t, filepath.Join(dir, "in"), "name", "a")
		stdout := succeed(t, dir, command...)
		require.Equal(t, "hello", stdout)
		require.Equal(t, "hello", read(t, dir, "out", "out"))
		require.NoError(t, os.Remove(filepath.Join(dir, "out", "out")))
	}
	const notFound, readOnly = "44", "69"
	for _, c := range []struct {
		status int
		want   string
		args   []string
	}{
		{exitFailed, "copy: o failed with 63\n", []string{"--data", "../closed/x", give, in, give, out}},
		{exitFailed, "copy: o failed with " + notFound + "\n", []string{"--data", "b", give, in, give, out}},
		{exitUsage, `asks for the directory "out" to write, and this node gives it to read only`, []string{give, in, give, "out:/out"}},
		{exitUsage, `asks for the directory "in", which this node does not give; --directory HOST:/NAME gives one`, []string{give, out}},
		{exitUsage, `the package does not ask for a directory "more"`, []string{give, in, give, out, give, "in:/more"}},
		{exitFailed, `--directory "nowhere:/in": lstat `, []string{give, "nowhere:/in", give, out}},
		{exitUsage, `--directory "in:in": the name for the function, in, must be absolute`, []string{give, "in:in"}},
		{exitUsage, `--directory "in:/in:all": say it as HOST, HOST:GUEST or HOST:GUEST:rw`, []string{give, "in:/in:all"}},
		{exitUsage, `--env "NOT_SET_ANYWHERE": it is not set here`, []string{"--env", "NOT_SET_ANYWHERE"}},
		{exitUsage, `/in is given twice`, []string{give, in, give, in}},
	} {
		status, stdout, stderr := run(t, dir, append([]string{"invoke", "d.rfaas"}, c.args...)...)
		require.Equal(t, c.status, status, stderr)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.want)
	}
	stderr := fails(t, dir, "invoke", "directories.wasm", "--data", "a", give, in, give, "out:/out")
	require.Contains(t, stderr, "copy: O failed with "+readOnly+"\n")
	refuses(t, dir, []string{"invoke"}, map[string][]string{
		"rfaas invoke: --directory: echo comes with the program, and needs nothing\n": {"echo", give, in},
	})
	if os.Getuid() == 0 {
		stderr = fails(t, dir, "invoke", "directories.wasm", "--data", "a", give, "closed:/in", give, out)
		require.Regexp(t, `the directory /in: open .*closed: permission denied \(for user \d+; an isolated function has the rights there that others have\)\n$`, stderr)
	}
}
