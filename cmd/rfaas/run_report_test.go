package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunQuiet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a", "a")
	status, stdout, stderr := run(t, dir, "run", "-f", "echo", "--quiet", "-o", "out", "a")
	require.Equal(t, exitOK, status)
	require.Empty(t, stdout+stderr)

	status, stdout, stderr = run(t, dir, "run", "-f", "echo", "-q", "-o", "out", "a", "missing")
	require.Equal(t, exitFailed, status)
	require.Empty(t, stdout)
	require.Regexp(t, `^echo: 1 of 2 inputs done, 1 failed, in [0-9.]+ m?s; results in out\nfailed:\n  missing: no such file or directory\n$`, stderr)
}

func TestRunJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "<a>", "abc")
	status, stdout, stderr := run(t, dir, "run", "-f", "echo", "--json", "-o", "out", "<a>", "missing")
	require.Equal(t, exitFailed, status)
	require.Empty(t, stderr)
	require.Contains(t, stdout, `"<a>"`)
	all := decodeLines[map[string]any](t, stdout)
	require.Len(t, all, 3)
	require.Equal(t, map[string]any{
		"input": "missing", "output": "out/missing", "state": "failed", "error": "no such file or directory", "attempts": 0.0,
		"in_bytes": 0.0, "out_bytes": 0.0, "call_ns": 0.0, "executed_ns": 0.0,
	}, all[0], "it has ended before any call")
	for name, want := range map[string]any{"input": "<a>", "output": "out/<a>", "state": "done", "attempts": 1.0, "in_bytes": 3.0, "out_bytes": 3.0} {
		require.Equal(t, want, all[1][name], name)
	}
	require.Positive(t, all[1]["call_ns"])
	for name, want := range map[string]any{"function": "echo", "inputs": 2.0, "done": 1.0, "failed": 1.0, "not_tried": 0.0, "interrupted": false} {
		require.Equal(t, want, all[2][name], name)
	}
	require.Positive(t, all[2]["seconds"])
	require.Positive(t, all[2]["bill"].(map[string]any)["core_ns"])
	require.Equal(t, 1.0, all[2]["bill"].(map[string]any)["invocations"])

	refuses(t, dir, []string{"run", "-f", "echo", "--json", "<a>"}, map[string][]string{
		"rfaas run: --json: the standard output is for the results: say where to put them with -o DIR": {},
		"the standard output is for the results":                                                       {"-o", "-"},
	})
}

func TestRunFilesFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a", "b c", "d"} {
		write(t, dir, name, name+" ")
	}
	write(t, dir, "list", "b c\r\n\n\r\nd")
	require.Equal(t, "a b c d ", succeed(t, dir, "run", "-f", "echo", "--quiet", "--files-from", "list", "a"))

	feed := func(text string) func(*exec.Cmd) {
		return func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader(text) }
	}
	s := startWith(t, dir, feed("a\nd\n"), "run", "-f", "echo", "-q", "--files-from", "-")
	require.Equal(t, exitOK, s.wait(), s.stderr.String())
	require.Equal(t, "a d ", s.stdout.String())

	s = startWith(t, dir, feed("a\n"), "run", "-f", "echo", "--files-from", "-", "-")
	require.Equal(t, exitUsage, s.wait())
	require.Contains(t, s.stderr.String(), "rfaas run: --files-from -: the standard input has the names of inputs, and cannot be an input as well")

	s = startWith(t, dir, feed("\n\n"), "run", "-f", "echo", "--files-from", "-")
	require.Equal(t, exitFailed, s.wait())
	require.Equal(t, "rfaas run: --files-from -: has no names of inputs\n", s.stderr.String())
	require.Contains(t, fails(t, dir, "run", "-f", "echo", "--files-from", "nowhere"), "rfaas run: --files-from: open nowhere: no such file or directory")

	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintln(&many, write(t, dir, fmt.Sprintf("in/%d", i), ""))
	}
	s = startWith(t, dir, feed(many.String()), "run", "-f", "echo", "-o", "out", "--files-from", "-")
	require.Equal(t, exitOK, s.wait(), s.stderr.String())
	require.Contains(t, s.stdout.String(), "echo: 2000 of 2000 inputs done")
	require.Len(t, namesIn(t, dir, "out"), 2000)
}

// A worker that does not start is told of once, with the reason.
func TestWorkerThatDoesNotStartIsToldOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a", "a")
	fail := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, executorFails+"=saying why") }
	for _, args := range [][]string{{"run", "-f", "echo", "a"}, {"invoke", "echo", "--data", "x"}} {
		s := startWith(t, dir, fail, args...)
		require.Equal(t, exitFailed, s.wait())
		require.Equal(t, 1, strings.Count(s.stderr.String(), "the reason"), s.stderr.String())
		s = startWith(t, dir, fail, append(args, "--log-level", "info")...)
		require.Equal(t, exitFailed, s.wait())
		require.Contains(t, s.stderr.String(), `level=INFO msg="worker failed to start"`)
	}
}
