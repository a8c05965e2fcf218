package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunWritesAFileForEachInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"run", "-f", "test-work", "--workers", "2", "-o", "new/results"}
	for i := range 20 {
		args = append(args, write(t, dir, fmt.Sprintf("in/%02d.txt", i), fmt.Sprint(i)))
	}

	status, stdout, stderr := run(t, dir, args...)

	require.Equal(t, exitOK, status, stderr)
	require.Empty(t, stderr)
	require.Len(t, namesIn(t, dir, "new/results"), 20)
	for i := range 20 {
		require.Equal(t, worked(fmt.Sprint(i)), read(t, dir, "new/results", fmt.Sprintf("%02d.txt", i)))
	}
	require.Regexp(t, `(?m)^test-work: 20 of 20 inputs done, in [0-9.]+ m?s; results in new/results$`, stdout)
	require.Regexp(t, `(?m)^  throughput  [0-9.]+ inputs/s, in [0-9.]+ k?B/s, out [0-9.]+ k?B/s$`, stdout)
	require.Regexp(t, `(?m)^  call        p50 [0-9.]+ .?s, p90 [0-9.]+ .?s, p99 [0-9.]+ .?s, max [0-9.]+ .?s$`, stdout)
	require.Regexp(t, `(?m)^  function    p50 [0-9.]+ .?s, p90 [0-9.]+ .?s, p99 [0-9.]+ .?s, max [0-9.]+ .?s$`, stdout)
	require.Regexp(t, `(?m)^  worker  process  core  calls  busy  replaced$`, stdout)
	require.Regexp(t, `(?m)^       1 +(\d+|-) +(\d+|any) +\d+ +\d+% +0$`, stdout)
	require.Regexp(t, `(?m)^       2 +(\d+|-) +(\d+|any) +\d+ +\d+% +0$`, stdout)
}

func TestRunReplacesFormerResults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "in/a.txt", "new")
	write(t, dir, "out/a.txt", "a former and longer result")
	write(t, dir, "out/b.txt", "of something else")

	succeed(t, dir, "run", "-f", "echo", "-o", "out", "in/a.txt")
	require.Equal(t, "new", read(t, dir, "out/a.txt"))
	require.Equal(t, "of something else", read(t, dir, "out/b.txt"))
	require.Equal(t, []string{"a.txt", "b.txt"}, namesIn(t, dir, "out"))
}

// Without -o results go to the standard output, in the order of the inputs, and
// nothing else does.
func TestRunToStandardOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var args []string
	var want strings.Builder
	for i := range 50 {
		args = append(args, write(t, dir, fmt.Sprintf("%02d", i), fmt.Sprintf("line %d\n", i)))
		fmt.Fprintf(&want, "worked on line %d\n", i)
	}
	args = append(args[:25], append([]string{"missing"}, args[25:]...)...)
	for _, more := range [][]string{nil, {"-o", "-"}} {
		status, stdout, stderr := run(t, dir, append(append([]string{"run", "-f", "test-work", "--workers", "3"}, more...), args...)...)

		require.Equal(t, exitFailed, status)
		require.Equal(t, want.String(), stdout)
		require.Contains(t, stderr, "test-work: 50 of 51 inputs done, 1 failed, in ")
		require.Contains(t, stderr, "failed:\n  missing: no such file or directory\n")
	}
}

func TestRunFromStandardInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	feed := func(cmd *exec.Cmd) {
		cmd.Stdin = strings.NewReader("type,spot,strike,rate,volatility,expiry\ncall,42,40,0.1,0.2,0.5\n")
	}

	s := startWith(t, dir, feed, "run", "-f", "black-scholes", "-")

	require.Equal(t, exitOK, s.wait(), s.stderr.String())
	require.Equal(t, "type,spot,strike,rate,volatility,expiry,price\ncall,42,40,0.1,0.2,0.5,4.759422392871532\n", s.stdout.String())

	s = startWith(t, dir, feed, "run", "-f", "black-scholes", "-o", "out", "-")

	require.Equal(t, exitOK, s.wait(), s.stderr.String())
	require.Equal(t, []string{"stdin.csv"}, namesIn(t, dir, "out"))
}

// Whatever the way of waiting, and with faults injected into the transport.
func TestRunModesAndTransports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"-f", "echo", "-o", "out"}
	for i := range 10 {
		args = append(args, write(t, dir, fmt.Sprintf("in/%d", i), strings.Repeat("x", 1000*i)))
	}
	for _, flags := range [][]string{
		{"--mode", "warm"},
		{"--mode", "adaptive:1ms"},
		{"--transport", "shm:"},
		{"--transport", "faulty+shm:?seed=1&queue-full=0.1&hold=0.1"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			stdout := succeed(t, dir, append(append([]string{"run"}, flags...), args...)...)
			require.Contains(t, stdout, "10 of 10 inputs done")
			for i := range 10 {
				require.Len(t, read(t, dir, "out", fmt.Sprint(i)), 1000*i)
			}
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "out")))
		})
	}
}

// Hot waiting on too few cores would be the slowest of all.
func TestRunRefusesHotWithoutCores(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	oneCore := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "GOMAXPROCS=1") }
	s := startWith(t, dir, oneCore, "run", "-f", "echo", "--mode", "hot", write(t, dir, "a.txt", "a"))
	require.Equal(t, exitUsage, s.wait())
	require.Contains(t, s.stderr.String(), "rfaas run: --mode hot: keeps 2 cores busy for each worker, 2 in all, and 1 can be used here; start fewer workers, or use --mode adaptive")

	s = startWith(t, dir, oneCore, "run", "-f", "echo", "--mode", "hot", "--threads", "3", "a.txt")
	require.Equal(t, exitUsage, s.wait())
	require.Contains(t, s.stderr.String(), "keeps 4 cores busy for each worker, 4 in all")
}

// Mistakes on the command line are reported with what to do about them, and nothing
// is started or written.
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.txt", "a")
	write(t, dir, "b.txt", "b")
	write(t, dir, "folder/a.txt", "another a")
	write(t, dir, "busy/a.txt/x", "a folder has the name of the result")
	require.NoError(t, os.Link(filepath.Join(dir, "b.txt"), filepath.Join(dir, "folder", "b.txt")))
	before := namesIn(t, dir)
	refuses(t, dir, []string{"run"}, map[string][]string{
		"rfaas run: which function? choose one with -f: thumbnailer, black-scholes, echo, noop": {"a.txt"},
		`rfaas run: unknown function "ecko"; there are: thumbnailer, black-scholes, echo, noop`: {"-f", "ecko", "a.txt"},
		"rfaas run: no inputs: name the files to call echo with, or - for the standard input":   {"-f", "echo"},
		"rfaas run: unknown flag: --frob": {"-f", "echo", "--frob", "a.txt"},
		"rfaas run: thumbnailer makes a .jpg file of each input: say where to put them with -o DIR":                                          {"-f", "thumbnailer", "a.txt", "b.txt"},
		"rfaas run: a.txt and folder/a.txt would both be written to out/a.txt; run them one after the other with different directories (-o)": {"-f", "echo", "-o", "out", "a.txt", "folder/a.txt"},
		"rfaas run: x/a.csv and x/a.txt would both be written to out/a.csv":                                                                  {"-f", "black-scholes", "-o", "out", "x/a.csv", "x/a.txt"},
		"rfaas run: input a.txt is given twice":                                                                                              {"-f", "echo", "-o", "out", "a.txt", "a.txt"},
		"rfaas run: the result of a.txt would overwrite the input a.txt; choose another directory (-o)":                                      {"-f", "echo", "-o", ".", "a.txt"},
		"would": {"-f", "echo", "-o", ".", "folder/a.txt", "a.txt"},
		"rfaas run: the result of b.txt would overwrite the input b.txt":                      {"-f", "echo", "-o", "folder", "b.txt"},
		"rfaas run: the result of a.txt would be written to busy/a.txt, which is a directory": {"-f", "echo", "-o", "busy", "a.txt"},
		`rfaas run: --transport tin-can: unknown transport "tin-can"; there are: loopback, `:  {"-f", "echo", "--transport", "tin-can", "a.txt"},
		"rfaas run: --transport loopback: connects within one process only":                   {"-f", "echo", "--transport", "loopback", "a.txt"},
		"shm takes no address":                                                                 {"-f", "echo", "--transport", "shm://somewhere", "a.txt"},
		"rfaas run: --workers -1: must be 1 to 1024":                                           {"-f", "echo", "--workers", "-1", "a.txt"},
		"rfaas run: --mode tepid: must be hot, warm, adaptive or adaptive:TIME":                {"-f", "echo", "--mode", "tepid", "a.txt"},
		"rfaas run: --timeout -1s: must not be negative; 0 is for never":                       {"-f", "echo", "--timeout", "-1s", "a.txt"},
		"rfaas run: --slot-bytes 2GiB: must be 1 to 1GiB":                                      {"-f", "echo", "--slot-bytes", "2GiB", "a.txt"},
		"rfaas run: --slot-bytes big: must be a number of bytes, such as 65536, 64KiB or 1GiB": {"-f", "echo", "--slot-bytes", "big", "a.txt"},
	})
	require.Equal(t, before, namesIn(t, dir), "a folder was created")
}
