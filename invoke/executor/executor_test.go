package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// The executors of the tests are the test binary with one of these arguments.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "executor":
			h := Host{Functions: functions, Runtimes: map[string]Loader{"text": loadText}, Compilers: map[string]Compiler{"text": compileText}}
			if err := h.Run(context.Background()); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case "exiting":
			os.Exit(7)
		case "silent":
			c, _, err := inherited()
			for err == nil {
				_, err = c.receive(new(command))
			}
			os.Exit(0)
		case "careless": // does not isolate itself
			c, _, err := inherited()
			for _, a := range []answer{{}, {}} {
				if err == nil {
					_, err = c.receive(new(command))
				}
				if err == nil {
					err = c.send(a)
				}
			}
			time.Sleep(time.Minute)
		case "reachable":
			beReachable()
			os.Exit(0)
		case "reaching":
			reach()
			os.Exit(0)
		case "obstinate":
			time.Sleep(time.Minute)
		case "starting supervisor":
			if err := superviseStarts(); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			os.Exit(0)
		case "parent", "parent of confined": // of executors, to be killed
			cfg := Config{Setup: setup, Spares: 2}
			if os.Args[1] != "parent" {
				cfg.Confine = confined()
			}
			s := must(New(cfg))
			fmt.Println(must(s.Start(context.Background(), Order{Assignment: assignmentOf("echo")})).PID())
			for s.Spares() < 2 {
				time.Sleep(time.Millisecond)
			}
			s.mu.Lock()
			for _, e := range s.spares {
				fmt.Println(e.PID())
			}
			s.mu.Unlock()
			time.Sleep(time.Minute)
		}
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // executors end at once, with the race detector, too
	os.Exit(m.Run())
}

var setup = Setup{Transports: []string{"shm:"}}

// functions do what foreign code could do to its process.
var functions = map[string]invoke.Function{
	"echo": func(_ context.Context, in, out []byte) (int, error) { return copy(out, in), nil },
	"pid": func(_ context.Context, _, out []byte) (int, error) {
		return copy(out, fmt.Sprint(os.Getpid())), nil
	},
	"panic": func(context.Context, []byte, []byte) (int, error) { panic("at the function") },
	"segv": func(context.Context, []byte, []byte) (int, error) {
		return 0, dieBy(syscall.SIGSEGV)
	},
	"exit":    func(context.Context, []byte, []byte) (int, error) { os.Exit(3); return 0, nil },
	"forever": func(context.Context, []byte, []byte) (int, error) { select {} },
	"forge":   forge,
	"flood":   flood,
	"claim":   claimAll,
	"inherit": inherit,
	"print": func(context.Context, []byte, []byte) (int, error) {
		for range 300 {
			fmt.Print(strings.Repeat(strings.Repeat("x", 99)+"\n", 100))
		}
		return 0, nil
	},
	"close all": func(context.Context, []byte, []byte) (int, error) {
		return 0, unix.CloseRange(3, 1000, 0)
	},
	"cut": func(context.Context, []byte, []byte) (int, error) {
		return 0, unix.Shutdown(controlFDOfThis(), unix.SHUT_RDWR)
	},
}

// controlFDOfThis is where net keeps its duplicate of the control socket.
func controlFDOfThis() int {
	for fd := 3; fd < 100; fd++ {
		if t, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err == nil && t == unix.SOCK_SEQPACKET {
			return fd
		}
	}
	return -1
}

// dieBy ends the process by a signal, whatever Go does with it.
func dieBy(s syscall.Signal) error {
	resetSignal(s)
	syscall.Kill(os.Getpid(), s)
	if os.Getpid() == 1 { // the first process of a namespace does not die of its own signals
		os.Exit(128 + int(s))
	}
	select {}
}

// loadText is a runtime whose code is names of functions, one per line.
func loadText(_ context.Context, c Code) (runtime.Module, error) {
	m := goModule{}
	for _, name := range strings.Fields(string(must(io.ReadAll(c.File)))) {
		f := functions[name]
		if f == nil {
			return nil, fmt.Errorf("the code says %q", name)
		}
		m[name] = f
	}
	return m, nil
}

// printed collects what functions print.
type printed struct {
	mu    sync.Mutex
	lines []OutputLine
}

// add is a Config.Output.
func (t *printed) add(o OutputLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, o)
}

func assignmentOf(name string) Assignment {
	return Assignment{Runtime: runtime.Go, Functions: []Function{{Name: "other", Entry: "echo"}, {Name: name, Entry: name}}, Slots: 2, SlotBytes: 4096, Clients: 4}
}

// supervise makes a supervisor for the time of the test, of the usual transports if none are given.
func supervise(t *testing.T, cfg Config) *Supervisor {
	if cfg.Setup.Transports == nil {
		cfg.Setup = setup
	}
	s := must(New(cfg))
	t.Cleanup(func() { s.Close(0) })
	return s
}

func begin(t *testing.T, s *Supervisor, a Assignment) *Executor {
	t.Helper()
	e, err := s.Start(t.Context(), Order{Assignment: a})
	require.NoError(t, err)
	return e
}

// openDevice opens a device for the time of the test.
func openDevice(t *testing.T, url string) *transport.Device {
	t.Helper()
	device := must(transport.Open(url))
	t.Cleanup(func() { device.Close() })
	return device
}

// dial connects to an executor for the time of the test.
func dial(t *testing.T, e *Executor, url string) *invoke.Client {
	t.Helper()
	c, err := e.Dial(t.Context(), openDevice(t, url), invoke.ClientConfig{Slots: 2, SlotBytes: 4096})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// call calls a function of an executor, through a connection of its own.
func call(t *testing.T, e *Executor, function, in string) (string, error) {
	return dialAndCall(t.Context(), e, function, in)
}

// mustCall is the result of a call that succeeds.
func mustCall(t *testing.T, e *Executor, function, in string) string {
	t.Helper()
	out, err := dialAndCall(t.Context(), e, function, in)
	require.NoError(t, err)
	return out
}

// dialAndCall is call without a test. An error is that of a call, or says that there was none.
func dialAndCall(ctx context.Context, e *Executor, function, in string) (string, error) {
	device := must(transport.Open("shm:"))
	defer device.Close()
	c, err := e.Dial(ctx, device, invoke.ClientConfig{Slots: 1, SlotBytes: 4096})
	if err != nil {
		return "", fmt.Errorf("dialing: %v", err)
	}
	defer c.Close()
	f, err := c.Function(ctx, function)
	if err != nil {
		return "", fmt.Errorf("asking for the function: %v", err)
	}
	out := make([]byte, 4096)
	n, err := c.Call(ctx, f, []byte(in), out)
	return string(out[:n]), err
}

const patience = 20 * time.Second

func requireEnds(t *testing.T, e *Executor) Fate {
	t.Helper()
	select {
	case <-e.Ended():
	case <-time.After(patience):
		require.Fail(t, "the executor has not ended")
	}
	f, ok := e.Fate()
	require.True(t, ok)
	return f
}

func TestCallsAndStop(t *testing.T) {
	t.Parallel()
	var said printed
	s := supervise(t, Config{Output: said.add})
	e := begin(t, s, assignmentOf("echo"))
	_, ok := e.Fate()
	require.False(t, ok)
	for range 3 { // one client after the other
		require.Equal(t, "hello", mustCall(t, e, "other", "hello"))
	}
	e.Stop(patience)
	require.Equal(t, Fate{Cause: Exited}, requireEnds(t, e))
	require.Equal(t, "ended with exit status 0", e.fate.String())
	e.Stop(patience) // once more does no harm
	s.Close(patience)
	_, err := s.Start(t.Context(), Order{Assignment: assignmentOf("echo")})
	require.ErrorIs(t, err, ErrClosed)
	require.Empty(t, said.lines)
}

// The fate says what a function did to its process, and which function.
func TestFates(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		fate   Fate
		text   string
		status invoke.Status
	}{
		"segv":    {Fate{Cause: Signaled, Signal: syscall.SIGSEGV}, "killed by signal 11 (segmentation fault) while function", invoke.StatusCrashed},
		"exit":    {Fate{Cause: Exited, ExitStatus: 3}, "ended with exit status 3 while function", invoke.StatusCrashed},
		"forever": {Fate{Cause: TimedOut, Signal: syscall.SIGKILL, TimeLimit: 50 * time.Millisecond}, "longer than its time limit of 50ms", invoke.StatusDeadlineExceeded},
		"forge":   {Fate{Cause: TimedOut, ExitStatus: exitTimedOut, TimeLimit: 50 * time.Millisecond}, "longer than its time limit of 50ms", invoke.StatusDeadlineExceeded},
		"flood":   {Fate{Cause: ProtocolViolation, Signal: syscall.SIGKILL}, "killed because it wrote to the connection of its supervisor while function", invoke.StatusCrashed},
		// These end by themselves, or are killed.
		"close all": {status: invoke.StatusCrashed},
		"cut":       {status: invoke.StatusCrashed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := assignmentOf(name)
			if want.fate.Cause == TimedOut {
				a.TimeLimit = 50 * time.Millisecond
			}
			e := begin(t, supervise(t, Config{}), a)
			if _, err := call(t, e, name, ""); err == nil {
				require.Contains(t, []string{"cut", "close all"}, name)
			} else {
				require.ErrorIs(t, err, invoke.ErrWorkerGone)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			f := e.Lost(ctx)
			require.Equal(t, f, requireEnds(t, e))
			require.Contains(t, f.String(), want.text)
			if want.text != "" {
				want.fate.Function = name
				require.Equal(t, want.fate, f)
				require.Contains(t, f.Err().Error(), name)
				require.Equal(t, invoke.StartedYes, f.Err().Started)
			}
			require.Equal(t, want.status, f.Err().Status)
		})
	}
}

// A function that panics, and many short calls, do not look like one long call.
func TestTimeLimitIsForOneCall(t *testing.T) {
	t.Parallel()
	const limit = 40 * time.Millisecond
	a := assignmentOf("panic")
	a.TimeLimit = limit
	e := begin(t, supervise(t, Config{}), a)
	_, err := call(t, e, "panic", "")
	require.ErrorIs(t, err, invoke.ErrCrashed)
	for end := time.Now().Add(4 * limit); time.Now().Before(end); {
		require.Equal(t, "x", mustCall(t, e, "other", "x"))
	}
	_, ok := e.Fate()
	require.False(t, ok)
}

// An executor that lost its client without a reason of its own is killed, too.
func TestLost(t *testing.T) {
	t.Parallel()
	e := begin(t, supervise(t, Config{}), assignmentOf("echo"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, Disconnected, e.Lost(ctx).Cause)
}

// What functions print is passed on in lines, up to a limit. The functions never block.
func TestOutput(t *testing.T) {
	t.Parallel()
	var said printed
	var logged records
	s := supervise(t, Config{Output: said.add, Logger: logged.logger(slog.LevelWarn)})
	e := begin(t, s, assignmentOf("print"))
	mustCall(t, e, "print", "")
	e.Stop(patience)
	const shown = maxOutputBytes/(100+lineBytes) + 1 // the last with what is left
	require.Equal(t, slices.Repeat([]OutputLine{{Process: e.PID(), Function: "other", Text: strings.Repeat("x", 99)}}, shown), said.lines)
	require.Equal(t, []record{{
		"level": "WARN", "msg": "an executor has printed too much, and the rest is lost",
		"process": float64(e.PID()), "lost_bytes": float64(300*10_000 - shown*100),
	}}, logged.all(t))
}

// Code is loaded by its runtime. If that fails, it is the order's fault.
func TestRuntimes(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{})
	order := func(kind, code string, functions ...Function) Order {
		o := Order{Assignment: Assignment{Runtime: kind, Functions: functions, Slots: 1, SlotBytes: 4096}}
		if code != "" {
			f := must(SealedCode("test", strings.NewReader(code)))
			t.Cleanup(func() { f.Close() })
			_, err := f.WriteAt([]byte("x"), 0)
			require.ErrorIs(t, err, unix.EPERM)
			o.Code = f
		}
		return o
	}
	for range 2 { // the file is read again
		e, err := s.Start(t.Context(), order("text", "echo pid", Function{Name: "who", Entry: "pid", Idempotent: true}))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(e.PID()), mustCall(t, e, "who", ""))
	}
	for want, o := range map[string]Order{
		`the code says "nothing"`: order("text", "nothing"),
		`function "a": this program has no Go function "b"; there are: echo`:       order("text", "echo", Function{Name: "a", Entry: "b"}),
		`the runtime "other" was not built into this program; there are: text, go`: order("other", "x"),
		`no code came for the runtime "text"`:                                      order("text", ""),
		`its description takes`:                                                    order(runtime.Go, "", Function{Name: strings.Repeat("x", maxMessageBytes)}),
	} {
		_, err := s.Start(t.Context(), o)
		require.ErrorContains(t, err, want)
		require.ErrorAs(t, err, new(*OrderError))
	}
	awaitAlive(t, s, 2) // those that failed have ended
}

// awaitAlive waits until a supervisor has n executors.
func awaitAlive(t *testing.T, s *Supervisor, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.alive) == n
	}, patience, time.Millisecond)
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{"/proc/self/exe exiting": "ended with exit status 7 before it was ready", "/nowhere/program": "no such file"} {
		s := supervise(t, Config{Command: strings.Fields(command)})
		_, err := s.Start(t.Context(), Order{Assignment: assignmentOf("echo")})
		require.ErrorContains(t, err, want)
	}
	_, err := supervise(t, Config{Setup: Setup{Transports: []string{"nothing:"}}}).Start(t.Context(), Order{Assignment: assignmentOf("echo")})
	require.ErrorContains(t, err, "nothing")
}

// When the caller cancels a start, the process ends.
func TestStartIsGivenUp(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{Command: []string{"/proc/self/exe", "silent"}})
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(errors.New("no longer wanted")) })
	_, err := s.Start(ctx, Order{Assignment: assignmentOf("echo")})
	require.ErrorContains(t, err, "no longer wanted")
	awaitAlive(t, s, 0)
}

// Close ends all executors, also those that do not end by themselves.
func TestClose(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{Spares: 1})
	a := begin(t, s, assignmentOf("echo"))
	b := begin(t, s, assignmentOf("forever"))
	go call(t, b, "forever", "")
	require.Eventually(t, func() bool { _, running, _ := b.progress.look(); return running }, patience, time.Millisecond)
	s.Close(patience)
	require.Equal(t, Fate{Cause: Exited}, requireEnds(t, a))
	require.Equal(t, Fate{Cause: Exited, ExitStatus: 1, Function: "forever"}, requireEnds(t, b))
	c, err := (&Supervisor{cfg: Config{Command: []string{ThisProgram, "obstinate"}, Output: func(OutputLine) {}}, log: slog.New(slog.DiscardHandler)}).start(nil, nil, nil)
	require.NoError(t, err)
	c.Stop(10 * time.Millisecond)
	require.Equal(t, Fate{Cause: Signaled, Signal: syscall.SIGKILL}, requireEnds(t, c))
}

// A spare takes an order for any of the transports, and for a core: all its threads are
// pinned to it.
func TestSpareFitsOrder(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{"confined": {Confine: confined()}, "not confined": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Spares, cfg.Setup = 1, Setup{Transports: []string{"loopback:", "shm:"}}
			s := supervise(t, cfg)
			spare := awaitSpares(t, s, 1)
			cores := must(AllowedCores())
			o := Order{Assignment: assignmentOf("echo"), Cores: On(cores[len(cores)-1])}
			o.Assignment.Transport = "shm:"
			e, err := s.Start(t.Context(), o)
			require.NoError(t, err)
			require.Same(t, spare, e)
			requirePinned(t, e, o.Cores[0])
			require.Equal(t, "x", mustCall(t, e, "echo", "x"))

			o.Assignment.Transport = "softroce:"
			_, err = s.Start(t.Context(), o)
			require.ErrorContains(t, err, `the transport "softroce:" is not offered; there are: loopback:, shm:`)
			o.Assignment.Transport = "" // the first
			e, err = s.Start(t.Context(), o)
			require.NoError(t, err)
			_, err = e.Dial(t.Context(), openDevice(t, "shm:"), invoke.ClientConfig{})
			require.ErrorContains(t, err, `the peer speaks "shm/2"`)
		})
	}
}

// requirePinned checks that all threads of an executor are pinned to a core, and that those of
// one that is confined stay there, whatever they ask for.
func requirePinned(t *testing.T, e *Executor, core int) {
	t.Helper()
	require.Equal(t, On(core), e.Cores())
	tasks := must(os.ReadDir(fmt.Sprintf("/proc/%d/task", e.PID())))
	require.Greater(t, len(tasks), 1)
	report, isConfined := e.Confinement()
	if isConfined && os.Getenv("CI") != "" && os.Geteuid() == 0 {
		require.True(t, report.Applied(confine.CoreLimit), report.Detail(confine.CoreLimit))
	}
	var set, want unix.CPUSet
	want.Set(core)
	for _, task := range tasks {
		thread := must(strconv.Atoi(task.Name()))
		if isConfined && report.Applied(confine.CoreLimit) {
			require.NoError(t, unix.SchedSetaffinity(thread, setOf(must(AllowedCores()))))
		}
		require.NoError(t, unix.SchedGetaffinity(thread, &set))
		require.Equal(t, want, set, "thread %s", task.Name())
	}
}

// Spares are replaced when they are taken, and when they die.
func TestSpares(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{Spares: 2})
	for range 3 {
		spare := awaitSpares(t, s, 2)
		e := begin(t, s, assignmentOf("echo"))
		require.Same(t, spare, e)
		require.Equal(t, "x", mustCall(t, e, "echo", "x"))
	}
	awaitSpares(t, s, 2)
	s.mu.Lock()
	for _, e := range s.spares {
		e.Kill()
		defer func() { <-e.ended }()
	}
	s.mu.Unlock()
	e := begin(t, s, assignmentOf("echo"))
	mustCall(t, e, "echo", "x")
	awaitSpares(t, s, 2)
}

// An executor uses only its processor.
func TestStartOnCore(t *testing.T) {
	t.Parallel()
	allowed := must(AllowedCores())
	core := allowed[len(allowed)-1]
	for _, cfg := range []Config{{}, {Confine: confined()}} {
		e, err := supervise(t, cfg).Start(t.Context(), Order{Assignment: assignmentOf("echo"), Cores: On(core)})
		require.NoError(t, err)
		requirePinned(t, e, core)
		require.Equal(t, allowed, must(AllowedCores()), "this process was pinned, too")
	}
}

// Executors do not outlive a supervisor that is killed, whatever they do.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"parent", "parent of confined"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("/proc/self/exe", kind)
			out := must(cmd.StdoutPipe())
			require.NoError(t, cmd.Start())
			var pids [3]int
			for i := range pids {
				_, err := fmt.Fscan(out, &pids[i])
				require.NoError(t, err)
			}
			require.NoError(t, cmd.Process.Kill())
			cmd.Wait()
			for _, pid := range pids {
				if !wait(func() bool { return gone(pid) }) {
					syscall.Kill(pid, syscall.SIGKILL)
					t.Errorf("process %d has not ended", pid)
				}
			}
		})
	}
}

func wait(f func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if f() {
			return true
		}
	}
	return false
}

// gone reports whether a process has ended, reaped or not.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}

// An executor that is started by hand fails, and says what it is for.
func TestRunByHand(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("/proc/self/exe", "executor").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "is for a supervisor to start")
}
