package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"golang.org/x/sys/unix"
)

// The input comes from a file, the standard input, a pipe, the command line, or
// there is none.
func TestInvokeInputs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "file", "of a file\n")
	write(t, dir, "empty", "")
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{}, ""},
		{[]string{"--data", "text"}, "text"},
		{[]string{"--data", ""}, ""},
		{[]string{"--in", "file"}, "of a file\n"},
		{[]string{"-i", "empty"}, ""},
		{[]string{"--in", "-"}, "of the standard input"},
		{[]string{"--in", "pipe"}, "of a pipe"},
		{[]string{"--in", "/proc/sys/kernel/ostype"}, "Linux\n"},
	} {
		s := startWith(t, dir, func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader("of the standard input") }, append([]string{"invoke", "echo"}, c.args...)...)
		if c.want == "of a pipe" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "pipe"), []byte(c.want), 0))
		}
		require.Equal(t, exitOK, s.wait(), s.stderr.String())
		require.Equal(t, c.want, s.stdout.String(), c.args)
		require.Equal(t, len(c.args) == 0, s.stderr.String() != "", s.stderr.String()) // see TestInvokeUnreadInput
	}
}

// The result goes to the standard output, or to a file, which it replaces.
func TestInvokeOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "out", "what was there before")
	for _, output := range []string{"out", "new"} {
		stdout := succeed(t, dir, "invoke", "test-work", "--data", "x", "-o", output)
		require.Empty(t, stdout)
		require.Equal(t, "worked on x", read(t, dir, output))
	}
	require.Equal(t, []string{"new", "out"}, namesIn(t, dir))

	stdout := succeed(t, dir, "invoke", "test-work", "--data", "x", "-o", "-")
	require.Equal(t, "worked on x", stdout)
}

// Payloads of any length: in a slot, beside it, and longer than the other one.
func TestInvokeLarge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const mebibyte = 1 << 20
	for _, size := range []int{mebibyte, mebibyte + 1, effort.Of(5, 33) << 20} {
		in := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
		require.NoError(t, os.WriteFile(filepath.Join(dir, "in"), in, 0o600))
		for function, want := range map[string][]byte{"test-double": append(in, in...), "noop": nil} {
			args := []string{"invoke", function, "--in", "in", "-o", "out"}
			if function == "test-double" {
				args = append(args, "--slot-bytes", strconv.Itoa(2*size))
			}
			succeed(t, dir, args...)
			require.True(t, string(want) == read(t, dir, "out"), "%d bytes", size)
		}
	}
}

// There can be room for the longest result that a call can have.
func TestInvokeGigabyte(t *testing.T) {
	t.Parallel()
	stdout := succeed(t, t.TempDir(), "invoke", "echo", "--data", "x", "--slot-bytes", "1GiB")
	require.Equal(t, "x", stdout)
}

// Mistakes on the command line are reported before anything is started.
func TestInvokeUsage(t *testing.T) {
	t.Parallel()
	refuses(t, t.TempDir(), []string{"invoke"}, map[string][]string{
		"0 functions are given; one is called: thumbnailer, ": {},
		"2 functions are given":                               {"echo", "noop"},
		`unknown function "ech"; there are: thumbnailer, `:    {"ech"},
		"--in and --data: there is one input":                 {"echo", "--in", "x", "--data", ""},
		"--timeout -1s: must not be negative":                 {"echo", "--timeout", "-1s"},
		"--slot-bytes 2GiB: must be 1 to 1GiB":                {"echo", "--slot-bytes", "2GiB"},
		"--repeat 0: must be 1 to 10000000":                   {"echo", "--repeat", "0"},
		`--transport nothing: unknown transport "nothing"`:    {"echo", "--transport", "nothing:"},
		"--transport loopback: connects within one process":   {"echo", "--transport", "loopback:"},
		"--mode cold: must be hot, warm, adaptive":            {"echo", "--mode", "cold"},
	})
}

// What the call comes to when it does not succeed; the file is as it was.
func TestInvokeFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "out", "what was there before")
	write(t, dir, "five", "bytes")
	write(t, dir, "long", strings.Repeat("x", 5000))
	for _, c := range []struct {
		want string
		args []string
	}{
		{`^rfaas invoke: open nothing: no such file or directory\n$`, []string{"echo", "--in", "nothing"}},
		{`^rfaas invoke: \.: is a directory; name a file\n$`, []string{"echo", "--in", "."}},
		{`^rfaas invoke: five: too large: more than 4; allow more with --slot-bytes\n$`, []string{"echo", "--in", "five", "--slot-bytes", "4"}},
		{`^rfaas invoke: --data: too large: more than 4;`, []string{"echo", "--data", "bytes", "--slot-bytes", "4"}},
		{`^rfaas invoke: test-double: too large: .*; allow more with --slot-bytes\n$`, []string{"test-double", "--in", "long", "--slot-bytes", "8KiB"}},
		{`^rfaas invoke: black-scholes: .*\n$`, []string{"black-scholes", "--data", "nonsense"}},
		{`(?m)^rfaas invoke: test-panic: crashed: .*the function's own`, []string{"test-panic"}},
		{`(?m)^rfaas invoke: executor \(process \d+\): killed by signal 9 \(killed\) while function "test-suicide" ran\n$`, []string{"test-suicide", "--data", "kill"}},
		{`(?m)^rfaas invoke: test-stuck: not done in time: .*; allow more with --timeout \(100ms\), or more to the package \(rfaas pack --time-limit\)\n$`, []string{"test-stuck", "--data", "/dev/null/x", "--timeout", "100ms"}},
		{`(?m)^rfaas invoke: the result cannot be written to nowhere/out: .*; choose another file \(-o\)\n$`, []string{"echo", "-o", "nowhere/out"}},
	} {
		if !slices.Contains(c.args, "-o") {
			c.args = append(c.args, "-o", "out")
		}
		status, stdout, stderr := run(t, dir, append([]string{"invoke"}, c.args...)...)
		require.Equal(t, exitFailed, status, "%v: %s", c.args, stderr)
		require.Empty(t, stdout)
		require.Regexp(t, c.want, stderr)
		require.Equal(t, "what was there before", read(t, dir, "out"))
	}
	require.Equal(t, []string{"five", "long", "out"}, namesIn(t, dir))
}

// An executor that cannot be started is reported, however it fails.
func TestInvokeExecutorDoesNotStart(t *testing.T) {
	t.Parallel()
	for how, want := range executorFailures {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := startWith(t, t.TempDir(), func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, executorFails+"="+how) }, "invoke", "echo")
			require.Equal(t, exitFailed, s.wait())
			require.Empty(t, s.stdout.String())
			require.Contains(t, s.stderr.String(), want)
		})
	}
}

// A signal ends the call at once, and nothing is written.
func TestInvokeInterrupted(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		dir := t.TempDir()
		s := start(t, dir, "invoke", "test-stuck", "--data", filepath.Join(dir, "x"), "-o", "out")
		require.True(t, eventually(10*time.Second, func() bool { return len(namesIn(t, dir)) == 1 }))
		s.signal(sig)
		require.Equal(t, exitInterrupted, s.wait())
		require.Equal(t, "rfaas invoke: interrupted\n", s.stderr.String())
		require.Equal(t, []string{"x.entered"}, namesIn(t, dir))
	}
}

// A full disk, and a full standard output.
func TestInvokeFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "in", strings.Repeat("x", 100<<10))
	disk := smallDisk(t, 64<<10)
	write(t, disk, "out", "before")
	stderr := fails(t, dir, "invoke", "echo", "--in", "in", "-o", filepath.Join(disk, "out"))
	require.Contains(t, stderr, "no space left on device")
	require.Equal(t, []string{"out"}, namesIn(t, disk))
	require.Equal(t, "before", read(t, disk, "out"))
}

// With --repeat there are latencies, of all calls.
func TestInvokeRepeat(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := run(t, t.TempDir(), "invoke", "test-work", "--data", "x", "--repeat", "20")
	require.Equal(t, exitOK, status, stderr)
	require.Equal(t, "worked on x", stdout)
	const number = `(\d+(\.\d+)?(ns|µs|ms|s))`
	const all = `min ` + number + `, p50 ` + number + `, p99 ` + number + `, max ` + number
	require.Regexp(t, `^20 calls: `+all+`; in the function: `+all+"\n$", stderr)
	require.NotRegexp(t, `min \d+(\.\d+)?(ns|µs)`, stderr, "the function takes 2 ms at least")
}

// Percentiles are those of samples that are known.
func TestPercentiles(t *testing.T) {
	t.Parallel()
	var all []time.Duration
	for i := range 1001 {
		all = append(all, time.Duration((i*8)%1001))
	}
	require.Equal(t, "min 0s, p50 500ns, p99 990ns, max 1µs", percentiles(all))
	require.Equal(t, "min 5ns, p50 5ns, p99 5ns, max 5ns", percentiles([]time.Duration{5}))
}

// The file has grown, or shrunk, since its size was asked for.
func TestInvokeInputChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "in")
	for content, want := range map[string]string{"123": "", "12": "it has shrunk", "1234": "it has grown", "": "it has shrunk"} {
		require.NoError(t, os.WriteFile(path, []byte("abc"), 0o600))
		in, err := (&invokeFlags{input: path}).openInput(nil)
		require.NoError(t, err)
		require.EqualValues(t, 3, in.bytes)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		buf := make([]byte, in.bytes)
		if err = in.load(buf); want == "" {
			require.NoError(t, err)
			require.Equal(t, content, string(buf))
		} else {
			require.ErrorContains(t, err, fmt.Sprintf("reading %s: %s since it was looked at; try again", path, want))
		}
		in.close()
	}
}

// Input that is given in a way that the command does not take is not lost silently.
func TestInvokeUnreadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "data", "some data")
	const warning = `level=WARN msg="the standard input is not read, and the function's input was empty: --in - reads it"`
	invoked := func(stdin *os.File, args ...string) (stdout, stderr string) {
		s := startWith(t, dir, func(cmd *exec.Cmd) { cmd.Stdin = stdin }, append([]string{"invoke", "echo"}, args...)...)
		require.Equal(t, exitOK, s.wait(), s.stderr.String())
		return s.stdout.String(), s.stderr.String()
	}
	for _, c := range []struct {
		args   []string
		stdout string
		warned bool
	}{{nil, "", true}, {[]string{"--data", ""}, "", false}, {[]string{"--in", "-"}, "some data", false}} {
		file, err := os.Open(filepath.Join(dir, "data"))
		require.NoError(t, err)
		stdout, stderr := invoked(file, c.args...)
		file.Close()
		require.Equal(t, c.stdout, stdout)
		require.Equal(t, c.warned, strings.Contains(stderr, warning), stderr)
	}
	for _, text := range []string{"", "piped"} {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		_, err = w.WriteString(text)
		require.NoError(t, err)
		stdout, stderr := invoked(r)
		require.Empty(t, stdout)
		require.Equal(t, text != "", strings.Contains(stderr, warning), stderr)
		r.Close()
		w.Close()
	}
}
