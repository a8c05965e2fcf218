package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/benchmarks"
	"github.com/rfaas-go/rfaas/transport"
)

// Every command has a help text with examples, no line of which is too long for
// a terminal, except those of flags and examples.
func TestHelp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			t.Parallel()
			stdout := succeed(t, dir, append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
			require.Contains(t, stdout, "\nExamples:\n  ")
			text, _, _ := strings.Cut(stdout, "\nFlags:")
			for line := range strings.SplitSeq(text, "\n") {
				require.True(t, len(line) <= 80 || strings.HasPrefix(line, "  "), line)
			}
			require.NotContains(t, stdout, "executor --", "the hidden command is shown")
		})
		for _, sub := range cmd.Commands() {
			if !sub.Hidden {
				check(sub)
			}
		}
	}
	check((&program{}).rootCommand())
	require.Contains(t, succeed(t, dir), "Available Commands:")
}

func TestUnknownCommand(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := run(t, t.TempDir(), "transmogrify")
	require.Equal(t, exitUsage, status)
	require.Empty(t, stdout)
	require.Equal(t, "rfaas: unknown command \"transmogrify\" for \"rfaas\"\nSee 'rfaas --help'.\n", stderr)
}

func TestLogging(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	input := write(t, dir, "a", "a")

	status, _, stderr := run(t, dir, "run", "-f", "echo", "--log-level", "info", "--log-format", "json", "-o", "out", input)

	require.Equal(t, exitOK, status)
	var ours, executors int
	for line := range strings.Lines(stderr) {
		entry := map[string]any{}
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		switch entry["msg"] {
		case "worker started":
			ours++
		case "executor: client connected":
			executors++
		}
	}
	require.Equal(t, 1, ours)
	require.Equal(t, 1, executors, "the executors log alike")

	for _, c := range [][]string{
		{"--log-level", "loud", `--log-level "loud": must be one of debug, info, warn, error`},
		{"--log-format", "xml", `--log-format "xml": must be one of text, json`},
	} {
		status, _, stderr := run(t, dir, "version", c[0], c[1])
		require.Equal(t, exitUsage, status)
		require.Contains(t, stderr, c[2])
	}
}

func TestDevices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()

	stdout := succeed(t, dir, "devices", "--json")
	var listed []string
	for _, info := range decodeLines[deviceInfo](t, stdout) {
		listed = append(listed, info.Transport)
		require.Equal(t, info.Available, info.Reason == "")
		if info.Transport == "shm" {
			require.True(t, info.Available)
			require.Equal(t, "shm/2", info.Wire)
			require.Contains(t, info.Operations, "write-imm")
			require.Contains(t, info.Features, "cross-process")
			require.NotZero(t, info.MaxMessageBytes)
			require.NotEmpty(t, info.Notes)
		}
	}
	require.Equal(t, transport.Schemes(), listed)

	stdout = succeed(t, dir, "devices")
	for _, scheme := range listed {
		require.Regexp(t, `(?m)^`+scheme+`: (not )?available$`, stdout)
	}
	require.Regexp(t, `(?m)^  limits      message 2GiB, inline \d+ bytes\n  depths      sends \d+, receives \d+, queues \d+$`, stdout)
}

func TestDevicesNotAvailable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	info := describeDevice("nothing-of-this-name")
	require.NoError(t, info.write(&b, false))
	require.Contains(t, b.String(), "nothing-of-this-name: not available\n  reason      not supported: no provider")
	b.Reset()
	require.NoError(t, info.write(&b, true))
	require.Contains(t, b.String(), `{"transport":"nothing-of-this-name","available":false,"reason":"not supported: no provider`)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	stdout := succeed(t, t.TempDir(), "version")
	require.Regexp(t, `^rfaas \S+ \(.*\), go1\.\S+, linux/`+runtime.GOARCH+`\n$`, stdout)
	require.Equal(t, stdout, succeed(t, t.TempDir(), "--version"))

	info := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	info.Main.Version = "v1.2.3"
	require.Contains(t, versionText(info), "rfaas v1.2.3 (commit 0123456789ab of 2026-01-02T03:04:05Z, modified), go")
	require.Contains(t, versionText(nil), "rfaas (devel) (commit unknown), go")
}

func TestBench(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()

	status, stdout, stderr := run(t, dir, "bench", "write-lat", "send-lat", "--size", "8,1KiB", "--iterations", "200", "--mode", "hot", "--json")

	if runtime.GOMAXPROCS(0) < 2 {
		require.Equal(t, exitUsage, status, "hot needs two cores")
		return
	}
	require.Equal(t, exitOK, status, stderr)
	var measured []string
	for _, result := range decodeLines[benchmarks.Result](t, stdout) {
		require.Equal(t, 200, result.Iterations)
		require.Positive(t, result.RTT.P50)
		require.NotZero(t, result.PeerPID)
		size := byteSize(result.SizeBytes)
		measured = append(measured, result.Test+" "+size.String())
	}
	require.Equal(t, []string{"write-lat 8", "write-lat 1KiB", "send-lat 8", "send-lat 1KiB"}, measured)

	status, stdout, stderr = run(t, dir, "bench", "write-lat", "send-lat", "--iterations", "200", "--plot", "both.svg")
	require.Equal(t, exitOK, status, stderr)
	require.Equal(t, "wrote both.svg\n", stderr)
	require.Regexp(t, `(?m)^ +test +transport +mode +size +iterations .*$`, stdout)
	require.Regexp(t, `(?m)^ +write-lat +shm +hot `, stdout)
	plot := read(t, dir, "both.svg")
	require.Contains(t, plot, "write-lat")
	require.Contains(t, plot, "send-lat", "the plot is of all tests")
	require.Contains(t, plot, "bench write-lat send-lat --iterations 200 --plot both.svg</text>", "and says where it is from")

	_, _, stderr = run(t, dir, "bench", "send-lat", "--iterations", "200", "--profile", "cpu", "--profile-dir", "profiles")
	require.Equal(t, "wrote profiles/cpu.pprof\n", stderr)
	require.NotEmpty(t, read(t, dir, "profiles/cpu.pprof"))
}

// The two ends are processes, which do not write one trace.
func TestBenchTraces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stderr := fails(t, dir, "bench", "send-lat", "--mode", "warm", "--iterations", "10", "--transport", "trace+shm:?file=both.trace")
	require.Regexp(t, `trace: both\.trace is being written by another process \(pid \d+\); give each its own, as in file=both-\{pid\}\.trace`, stderr)
	succeed(t, dir, "bench", "send-lat", "--mode", "warm", "--iterations", "10", "--transport", "trace+shm:?file=each-{pid}.trace")
	files, err := filepath.Glob(filepath.Join(dir, "each-*.trace"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		require.Regexp(t, `^# \d+ records, .*\n# time_ns conn event op `, read(t, file))
	}
}

func TestBenchRefuses(t *testing.T) {
	t.Parallel()
	refuses(t, t.TempDir(), []string{"bench"}, map[string][]string{
		"rfaas bench: which test? there are: write-lat, ":                                    {},
		`rfaas bench: unknown test "transmogrify"; there are: write-lat, `:                   {"transmogrify"},
		"rfaas bench: write-lat: is given twice":                                             {"write-lat", "write-lat"},
		"rfaas bench: --transport: shm: is given twice":                                      {"write-lat", "--transport", "shm:,shm:"},
		`rfaas bench: --transport "": unknown transport ""; there are: loopback, shm`:        {"write-lat", "--transport", ""},
		"rfaas bench: --iterations 0: must be more than 0":                                   {"write-lat", "--iterations", "0"},
		`rfaas bench: --plot "lat.gif": the file name must end in one of .svg, .png`:         {"write-lat", "--plot", "lat.gif"},
		`rfaas bench: --mode "tepid": must be one of hot, warm, adaptive`:                    {"write-lat", "--mode", "tepid"},
		`"big" is not a number of bytes`:                                                     {"write-lat", "--size", "8,big"},
		"rfaas bench: --profile: is about one test, and 2 are given":                         {"write-lat", "send-lat", "--profile", "cpu"},
		"rfaas bench: --listen: waits for the other machine, which says what to measure":     {"write-lat", "--listen", "127.0.0.1:0"},
		"rfaas bench: --listen: shm connects processes of one machine only":                  {"--listen", "127.0.0.1:0"},
		"rfaas bench: --connect: shm connects processes of one machine only; drop --connect": {"write-lat", "--connect", "127.0.0.1:1"},
	})
}

func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "bench", "write-imm-lat", "--iterations", "2000000000", "--mode", "warm")
	require.True(t, eventually(20*time.Second, func() bool { return len(s.executors()) > 0 }))
	s.signal(syscall.SIGINT)
	require.Equal(t, exitInterrupted, s.wait())
	require.Equal(t, "rfaas bench: interrupted\n", s.stderr.String())
}

func TestByteSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]byteSize{"0": 0, "65536": 65536, "64KiB": 64 << 10, "3 MiB": 3 << 20, "1GiB": 1 << 30} {
		got, err := parseByteSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		again, err := parseByteSize(got.String())
		require.NoError(t, err)
		require.Equal(t, want, again)
	}
	for _, text := range []string{"", "KiB", "-1", "1.5MiB", "1kb", "99999999999GiB", "9223372036854775808"} {
		_, err := parseByteSize(text)
		require.Error(t, err, text)
	}
}

// What the output of a terminal's user looks like is tested in package progress;
// a result that is nothing for a terminal does not get there, and one that is
// does without a bar.
func TestOnTerminal(t *testing.T) {
	t.Parallel()
	f := &runFlags{slotBytes: 1}
	thumbnailer, err := findFunction("thumbnailer")
	require.NoError(t, err)
	require.NoError(t, f.check(thumbnailer, []string{"a.jpg"}, &strings.Builder{}))
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("needs script(1), which runs a program on a terminal")
	}
	dir := t.TempDir()
	onTerminal := func(args string) (status int, screen string) {
		cmd := exec.Command(script, "-qec", fmt.Sprintf("/proc/%d/exe %s", os.Getpid(), args), "/dev/null")
		cmd.Dir, cmd.Env = dir, append(cmd.Environ(), asProgram+"=1", "TERM=xterm")
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	status, screen := onTerminal("run -f thumbnailer " + write(t, dir, "a.jpg", "x"))
	require.Equal(t, exitUsage, status)
	require.Contains(t, screen, "rfaas run: thumbnailer makes .jpg files, which are nothing for a terminal: say where to put them with -o DIR")

	status, screen = onTerminal("run -f echo " + write(t, dir, "hello", "hello\n"))
	require.Equal(t, exitOK, status)
	require.True(t, strings.HasPrefix(screen, "hello\r\necho: 1 of 1 input done, in "), screen)

	// What measures for minutes says what it measures.
	status, screen = onTerminal("bench send-lat --mode warm --iterations 10 --transport shm:,loopback:")
	require.Equal(t, exitOK, status)
	require.Contains(t, screen, "send-lat on loopback, 64 B, round 2 of 5 [")
	status, screen = onTerminal("bench send-lat --mode warm --iterations 10 --json")
	require.Equal(t, exitOK, status)
	require.True(t, strings.HasPrefix(screen, `{"test":"send-lat"`), screen)
}
