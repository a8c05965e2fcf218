package benchmarks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/invoke/runtime/native"
	"github.com/rfaas-go/rfaas/invoke/runtime/wasm"
)

// What executors of the tests can do; see TestMain.
var (
	testRuntimes = map[string]executor.Loader{
		runtime.Native: func(_ context.Context, c executor.Code) (runtime.Module, error) {
			return native.OpenFile(c.File, native.Config{})
		},
		runtime.Wasm: func(ctx context.Context, c executor.Code) (runtime.Module, error) {
			code, err := io.ReadAll(io.NewSectionReader(c.File, 0, 1<<62))
			if err != nil {
				return nil, err
			}
			noteLoad(code)
			return wasm.Load(ctx, code, wasm.Config{Name: "code", Instances: 1, CacheDir: filepath.Join(os.Getenv(cacheVariable), "cache")})
		},
	}
	testFunctions = map[string]invoke.Function{
		"echo": func(_ context.Context, in, out []byte) (int, error) { return copy(out, in), nil },
		"slow": func(_ context.Context, in, out []byte) (int, error) {
			for begin := time.Now(); time.Since(begin) < slowness; {
			}
			return copy(out, in), nil
		},
		"fails": func(context.Context, []byte, []byte) (int, error) { return 0, errors.New("the function's own") },
		"dies": func(context.Context, []byte, []byte) (int, error) {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		},
		"grows": func(_ context.Context, in, out []byte) (int, error) { return len(out) + 1, nil },
	}
)

const slowness = 100 * time.Microsecond

// cacheVariable names the folder of a test, for its executors.
const cacheVariable = "RFAAS_TEST_FOLDER"

// noteLoad leaves a file for each module that was loaded, with as many bytes.
func noteLoad(code []byte) {
	f, err := os.CreateTemp(os.Getenv(cacheVariable), "loaded")
	if err == nil {
		f.Write(code)
		f.Close()
	}
}

// golang is a Go function of these tests.
func golang(entry string) Function {
	return Function{Label: entry, Order: executor.Order{Assignment: executor.Assignment{
		Runtime: runtime.Go, Functions: []executor.Function{{Name: entry, Entry: entry}},
	}}}
}

// compiled is the echo of a file in the repository, compiled; args are the
// compiler's, without its sources and result.
func compiled(t *testing.T, kind, source string, args ...string) Function {
	t.Helper()
	tools := args[:1]
	if kind == runtime.Wasm {
		tools = []string{args[0], "wasm-ld"}
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			require.Empty(t, os.Getenv("CI"), "%s is missing", tool)
			t.Skipf("%s is missing, which compiles %s", tool, source)
		}
	}
	path := filepath.Join(t.TempDir(), "code")
	out, err := exec.Command(args[0], append(args[1:], "-o", path, source)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	f := golang("echo")
	f.Label, f.Order.Assignment.Runtime = "echo of "+filepath.Base(source), kind
	f.Order.Code, err = os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Order.Code.Close() })
	return f
}

func nativeEcho(t *testing.T) Function {
	if _, err := native.Open("", native.Config{}); errors.Is(err, native.ErrNotSupported) {
		t.Skip(err) // this build is another lane's
	}
	return compiled(t, runtime.Native, "../examples/native/src/functions.c", "gcc", "-O2", "-shared", "-fPIC")
}

func wasmEcho(t *testing.T) Function {
	return compiled(t, runtime.Wasm, "testdata/echo_wasm.c", "clang", "--target=wasm32", "-mbulk-memory", "-O2", "-nostdlib", "-Wl,--no-entry", "-I", "../examples/wasm")
}

// Functions take turns in rounds, and are compared with the first one. A function
// that takes longer is seen to, by as much.
func TestFunctionLatency(t *testing.T) {
	requireTwoCores(t)
	t.Setenv(cacheVariable, t.TempDir())
	functions := []Function{golang("echo"), nativeEcho(t), wasmEcho(t), golang("slow")}
	var seen []Result
	results := runOne(t, Config{Test: "invoke-lat", Functions: functions, Iterations: few, Sizes: []int{64}, Baseline: true,
		OnResult: func(r Result) { seen = append(seen, r) }})
	require.Equal(t, seen, results)
	require.Len(t, results, len(functions)+1)
	pids := map[int]bool{}
	for i, f := range functions {
		r := results[i]
		requireSensible(t, r, TestInfo{Name: "invoke-lat"}, 64, Hot)
		require.Equal(t, f.Label, r.Function)
		require.Equal(t, f.Order.Assignment.Runtime, r.Runtime)
		require.Len(t, r.RoundP50, functionRounds)
		require.ErrorIs(t, syscall.Kill(r.PeerPID, 0), syscall.ESRCH, "the executor has ended and was reaped")
		pids[r.PeerPID] = true
		if i == 0 {
			require.Nil(t, r.Beside)
			continue
		}
		require.Equal(t, "echo", r.Beside.To)
		require.LessOrEqual(t, r.Beside.Min, r.Beside.P50)
		require.LessOrEqual(t, r.Beside.P50, r.Beside.Max)
	}
	require.Len(t, pids, len(functions), "each in a process of its own")
	require.GreaterOrEqual(t, results[3].RTT.Min, slowness.Nanoseconds())
	require.True(t, isBaseline(results[len(functions)]))
	require.Empty(t, results[len(functions)].Function)
}

// Every mode, inputs beyond the slots, and fewer calls than rounds.
func TestFunctionLatencySizes(t *testing.T) {
	requireTwoCores(t)
	for _, mode := range allModes {
		results := runOne(t, Config{Test: "invoke-lat", Functions: []Function{golang("echo")}, Iterations: 3, Mode: mode, Sizes: []int{1, mostInvokeSlot + 1}})
		require.Len(t, results, 2)
		for _, r := range results {
			require.Equal(t, mode, r.Mode)
			require.Len(t, r.RoundP50, 3)
			require.EqualValues(t, 3, count(r))
		}
	}
}

func count(r Result) (samples int64) {
	for _, b := range r.Distribution() {
		samples += b.Count
	}
	return samples
}

// The first results of each function, whichever way it is started. Modules count
// as compiled before, or not, as they should.
func TestColdStart(t *testing.T) {
	folder := t.TempDir()
	t.Setenv(cacheVariable, folder)
	functions := []Function{golang("echo"), nativeEcho(t), wasmEcho(t), golang("slow")}
	const rounds = 2

	results := runOne(t, Config{Test: "cold-start", Functions: functions, Iterations: rounds})

	type way struct{ function, start, cache string }
	var ways []way
	for _, r := range results {
		ways = append(ways, way{r.Function, r.Start, r.Cache})
		require.Equal(t, rounds, r.Iterations)
		require.Nil(t, r.Beside)
		require.Positive(t, r.RTT.Min)
		require.Positive(t, r.Steps.Start)
		require.Positive(t, r.Steps.Connect)
		require.Positive(t, r.Steps.Call)
		require.LessOrEqual(t, r.Steps.Start, r.RTT.Max)
		if r.Function == "slow" {
			require.GreaterOrEqual(t, r.Steps.Call, slowness.Nanoseconds())
		}
		require.EqualValues(t, rounds, count(r))
		require.ErrorIs(t, syscall.Kill(r.PeerPID, 0), syscall.ESRCH, "the executor has ended and was reaped")
	}
	c, w := functions[1].Label, functions[2].Label
	require.Equal(t, []way{
		{"echo", StartCold, ""}, {"echo", StartSpare, ""},
		{c, StartCold, ""}, {c, StartSpare, ""},
		{w, StartCold, CacheFilled}, {w, StartCold, CacheEmpty}, {w, StartSpare, CacheFilled}, {w, StartSpare, CacheEmpty},
		{"slow", StartCold, ""}, {"slow", StartSpare, ""},
	}, ways)

	loaded := map[string]int{} // modules, by content
	files, err := filepath.Glob(filepath.Join(folder, "loaded*"))
	require.NoError(t, err)
	for _, f := range files {
		code, err := os.ReadFile(f)
		require.NoError(t, err)
		loaded[string(code)]++
	}
	own, err := os.ReadFile(functions[2].Order.Code.Name())
	require.NoError(t, err)
	require.Len(t, files, 4*(rounds+1))
	require.Equal(t, 2*(rounds+1), loaded[string(own)])
	require.Len(t, loaded, 1+2*(rounds+1), "the others are new, each time")
}

// A spare executor is there before the clock starts, and is what is used: the first
// result does not wait for its start, with a lease or without.
func TestSparesAreUsed(t *testing.T) {
	const start = 500 * time.Millisecond
	f := golang("echo")
	f.Executors.Command = []string{"/bin/sh", "-c", "sleep 0.5; exec /proc/" + fmt.Sprint(os.Getpid()) + "/exe executor"}
	for _, test := range []string{"cold-start", "lease-first-call"} {
		results := runOne(t, Config{Test: test, Functions: []Function{f}, Iterations: 1})
		require.GreaterOrEqual(t, results[0].RTT.Min, start.Nanoseconds())
		require.GreaterOrEqual(t, max(results[0].Steps.Start, results[0].Steps.Connect), start.Nanoseconds())
		require.Less(t, results[1].RTT.Max, start.Nanoseconds())
	}
}

// What functions do to themselves ends the measurement, and is told.
func TestFunctionsFail(t *testing.T) {
	requireTwoCores(t)
	for _, test := range []string{"invoke-lat", "cold-start"} {
		for want, f := range map[string]Function{
			": fails: invoke: function \"fails\" on ":                golang("fails"),
			": function error: the function's own":                   golang("fails"),
			": dies: executor (process ":                             golang("dies"),
			"): killed by signal 9 (killed) while function \"dies\"": golang("dies"),
			"too large: ": golang("grows"),
			`this program has no Go function "nobody"`: golang("nobody"),
		} {
			requireNoLeak(t, func() {
				c := Config{Test: test, Functions: []Function{golang("echo"), f}, Iterations: few}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				results, err := Run(ctx, c)
				require.Empty(t, results)
				require.ErrorContains(t, err, test+" at 64 bytes: ")
				require.ErrorContains(t, err, want)
			})
		}
	}
}

// The end of the context ends the measurement.
func TestFunctionsInterrupted(t *testing.T) {
	requireTwoCores(t)
	noSpares := golang("echo")
	noSpares.Executors.Command = []string{"/bin/false"}
	for _, c := range []Config{
		{Test: "invoke-lat", Functions: []Function{golang("slow")}, Iterations: forever},
		{Test: "cold-start", Functions: []Function{golang("slow")}, Iterations: forever},
		{Test: "cold-start", Functions: []Function{noSpares}},
	} {
		requireNoLeak(t, func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			results, err := Run(ctx, c)
			require.Empty(t, results)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

func TestFunctionsRefused(t *testing.T) {
	t.Parallel()
	two := golang("echo")
	two.Order.Assignment.Functions = append(two.Order.Assignment.Functions, executor.Function{Name: "another"})
	for want, c := range map[string]Config{
		"--function: cold-start needs one":                                               {Test: "cold-start"},
		"--function: write-lat calls none; those that do: invoke-lat, lease-lat, lease-": {Test: "write-lat", Functions: []Function{golang("echo")}},
		"--function: lease-lat needs one":                                                {Test: leaseLat},
		"--connect: functions are measured on this machine only":                         {Test: "invoke-lat", Functions: []Function{golang("echo")}, Connect: "localhost:1"},
		"--transport: loopback does not leave the process, and functions run in ":        {Test: "cold-start", Functions: []Function{golang("echo")}, Transport: "loopback:"},
		"benchmarks: the order of echo has 2 functions instead of one":                   {Test: "cold-start", Functions: []Function{two}},
		"--mode hot: cold-start runs in mode adaptive, warm only (one that polls tak":    {Test: "cold-start", Functions: []Function{golang("echo")}, Mode: Hot},
	} {
		results, err := Run(t.Context(), c)
		require.ErrorContains(t, err, want)
		require.Empty(t, results)
		flag := (*FlagError)(nil)
		require.Equal(t, !strings.HasPrefix(want, "benchmarks"), errors.As(err, &flag))
	}
}

// The differences are those of the rounds' own medians.
func TestCompare(t *testing.T) {
	t.Parallel()
	first := &Result{Function: "echo", RoundP50: []int64{100, 200, 300}}
	require.Equal(t, &Difference{"echo", -100, 41, 50}, compare(first, &Result{RoundP50: []int64{150, 241, 200}}))
	first.RoundP50 = first.RoundP50[:2]
	require.Equal(t, &Difference{"echo", 10, 25, 40}, compare(first, &Result{RoundP50: []int64{110, 240}}))
}

// A section more makes a module another one, which means the same.
func TestWithSection(t *testing.T) {
	t.Parallel()
	module := []byte("\x00asm\x01\x00\x00\x00")
	got, err := io.ReadAll(withSection(bytes.NewReader(module), "note", []byte{7, 8}))
	require.NoError(t, err)
	require.Equal(t, append(module, 0, 7, 4, 'n', 'o', 't', 'e', 7, 8), got)
	_, err = wasm.Load(t.Context(), got, wasm.Config{Name: "empty"})
	if err != nil { // no function is offered, which is the only thing that can be wrong
		require.NotContains(t, err.Error(), "compile")
	}
	require.Panics(t, func() { withSection(bytes.NewReader(module), "name", make([]byte, maxShortLength)) })
}

// The table has columns for functions where there are some, and lines below.
func TestTableOfFunctions(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	rtt := RoundTrips{100, 200, 212, 300, 400, 500, 500}
	require.NoError(t, WriteTable(&b,
		Result{Test: "invoke-lat", Transport: "shm", Mode: Hot, SizeBytes: 64, Iterations: 5, RTT: rtt, Function: "echo", Runtime: "go"},
		Result{Test: "invoke-lat", Transport: "shm", Mode: Hot, SizeBytes: 64, Iterations: 5, RTT: rtt, Function: "f.so:echo", Runtime: "native",
			RoundP50: make([]int64, 7), Beside: &Difference{"echo", -3, 41, 60}},
		Result{Test: "cold-start", Transport: "shm", Mode: Adaptive, SizeBytes: 64, Iterations: 5, RTT: rtt, Function: "f.wasm", Runtime: "wasm",
			Start: StartSpare, Cache: CacheEmpty, Steps: &Steps{Start: 1_200_000, Connect: 340_000, Call: 5600}},
		Result{Test: "baseline-shm-lat", Transport: "none", Mode: Hot, SizeBytes: 64, Iterations: 5, RTT: rtt}))
	require.Equal(t, `              test   function  runtime  start  cache  transport      mode  size  iterations     min     p50    mean     p99   p99.9     max  rate  bandwidth  allocs/op
        invoke-lat       echo       go      -      -        shm       hot  64 B           5  100 ns  200 ns  212 ns  300 ns  400 ns  500 ns  0 /s      0 B/s          0
        invoke-lat  f.so:echo   native      -      -        shm       hot  64 B           5  100 ns  200 ns  212 ns  300 ns  400 ns  500 ns  0 /s      0 B/s          0
        cold-start     f.wasm     wasm  spare  empty        shm  adaptive  64 B           5  100 ns  200 ns  212 ns  300 ns  400 ns  500 ns  0 /s      0 B/s          0
  baseline-shm-lat          -        -      -      -       none       hot  64 B           5  100 ns  200 ns  212 ns  300 ns  400 ns  500 ns  0 /s      0 B/s          0
invoke-lat f.so:echo, 64 B: +41 ns to echo (median of 7 rounds; -3 to +60)
cold-start f.wasm spare, cache empty, 64 B: executor 1.2 ms, connection 340 us, first call 5.6 us (medians)
`, b.String())
}
