package command_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/runtime/command"
)

// serving makes this test program one that serves calls.
const serving = "RFAAS_COMMAND_TEST_SERVING"

func TestMain(m *testing.M) {
	if os.Getenv(serving) != "" {
		serve()
		return
	}
	if path := os.Getenv(holding); path != "" {
		hold(path)
		return
	}
	os.Exit(m.Run())
}

// holding makes this test program one that calls programs, which hold a fifo open.
const holding = "RFAAS_COMMAND_TEST_HOLDING"

func hold(fifo string) {
	for _, warm := range []bool{true, false} {
		m, err := command.Open(command.Config{
			Name: "f", Program: "/bin/sh", Warm: warm, Stderr: os.Stdout,
			Arguments: []string{"-c", `exec 9>"$0"; sleep 1000 & echo holds >&2; exec sleep 1000`, fifo},
		})
		if err != nil {
			panic(err)
		}
		f, err := m.Function("f")
		if err != nil {
			panic(err)
		}
		go func() { _, _ = f(context.Background(), nil, nil) }()
	}
	time.Sleep(time.Hour)
}

// No program survives the process that has started it, however that ends, nor what the
// program has started.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	path, fifo := held(t)
	parent := exec.Command("/proc/self/exe")
	parent.Env = []string{holding + "=" + path}
	stdout, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	_, err = io.ReadFull(stdout, make([]byte, len("holds\nholds\n")))
	require.NoError(t, err)
	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	gone(t, fifo)
}

func answer(status uint32, length uint64, body string) {
	b := binary.LittleEndian.AppendUint32(nil, status)
	b = binary.LittleEndian.AppendUint64(b, length)
	_, _ = os.Stdout.Write(append(b, body...))
}

// serve does what its calls say.
func serve() {
	fmt.Fprintln(os.Stderr, "started")
	for calls := 1; ; calls++ {
		var length [8]byte
		if _, err := io.ReadFull(os.Stdin, length[:]); err != nil {
			fmt.Fprintln(os.Stderr, "ends")
			return
		}
		in := make([]byte, binary.LittleEndian.Uint64(length[:]))
		if len(in) > 1<<20 && os.Getenv(serving) == "early" {
			answer(0, 2, "no")
			time.Sleep(time.Hour)
		}
		_, _ = io.ReadFull(os.Stdin, in)
		switch what, rest, _ := strings.Cut(string(in), " "); what {
		case "count":
			answer(0, 1, fmt.Sprint(calls))
		case "error":
			answer(42, uint64(len(rest)), rest)
		case "exit":
			fmt.Fprint(os.Stderr, rest)
			os.Exit(3)
		case "answer,exit":
			pid := fmt.Sprint(os.Getpid())
			answer(0, uint64(len(pid)), pid)
			os.Exit(3)
		case "abort":
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		case "hang":
			fmt.Fprintln(os.Stderr, "hangs")
			time.Sleep(time.Hour)
		case "print":
			fmt.Println(rest)
		case "giant":
			answer(0, 1<<50, "")
		case "giantmessage":
			answer(1, 1<<20, "")
		case "twice":
			answer(0, 1, "12")
		case "closed":
			os.Stdout.Close()
			time.Sleep(time.Hour)
		case "later":
			answer(0, 1, "1")
			answer(0, 1, "2")
			_, _ = os.OpenFile(rest, os.O_WRONLY, 0) // waits for the test
		default:
			answer(0, uint64(len(in)), string(in))
		}
	}
}

func warm(t testing.TB, mode string, log io.Writer) (*command.Module, invoke.Function) {
	t.Helper()
	m, err := command.Open(command.Config{Name: "f", Program: "/proc/self/exe", Environment: []string{serving + "=" + mode}, Warm: true, Stderr: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	f, err := m.Function("f")
	require.NoError(t, err)
	return m, f
}

func TestWarm(t *testing.T) {
	t.Parallel()
	l := &lines{}
	m, f := warm(t, "on", l)
	require.Equal(t, "1", says(t, f, "count", 1))
	large := strings.Repeat("0123456789abcdef", 3<<16)
	for _, in := range []string{"", "a", large[:64<<10], large} {
		require.True(t, in == says(t, f, in, len(in)), "%d bytes", len(in))
	}
	require.Equal(t, "6", says(t, f, "count", 100), "it is one process")
	for message, want := range map[string]string{"why ": "why ", "\xff": "?", "": "an error without a message", large[:maxMessage]: large[:maxMessage]} {
		_, err := f(t.Context(), []byte("error "+message), make([]byte, 10))
		var got *invoke.FunctionError
		require.ErrorAs(t, err, &got)
		require.EqualValues(t, 42, got.Code)
		require.Contains(t, got.Message, want)
	}
	require.NoError(t, m.Close())
	require.Equal(t, []string{"started\n", "ends\n"}, l.all)
}

const maxMessage = 64 << 10 // what doc.go says

// Whatever ends the program, the next call has a new one.
func TestWarmStartsAgain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"exit the reason":    "ended during the call, which may have been executed: exit status 3: started\\nthe reason",
		"abort":              "may have been executed: SIGKILL (killed): started",
		"closed":             "closed its standard input or output during the call, which may have been executed, and was killed",
		"print a whole line": "this is not the protocol: a message has at most 65536 bytes; does it print to its standard output?",
		"giant":              "answered with status 0 and 1125899906842624 bytes, and was killed",
		"giantmessage":       "answered with status 1 and 1048576 bytes, and was killed",
		"twice":              "wrote 1 bytes more than its answer, and was killed",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			_, f := warm(t, "on", nil)
			_, err := f(t.Context(), []byte(in), make([]byte, 100))
			require.ErrorContains(t, err, want)
			require.Equal(t, "1", says(t, f, "count", 10))
		})
	}
}

// The kernel kills a program with the thread that has started it: that is none of the caller's.
func TestWarmOutlivesThread(t *testing.T) {
	t.Parallel()
	done := make(chan invoke.Function)
	go func() {
		runtime.LockOSThread() // the thread ends with this goroutine
		_, f := warm(t, "on", nil)
		_, _ = f(t.Context(), nil, nil)
		done <- f
	}()
	require.Equal(t, "2", says(t, <-done, "count", 10))
}

// A call that could not end normally is told from one that was not sent.
func TestWarmCrash(t *testing.T) {
	t.Parallel()
	_, f := warm(t, "on", nil)
	_, err := f(t.Context(), []byte("exit former"), nil)
	require.ErrorContains(t, err, "former")
	_, err = f(t.Context(), []byte("exit "), nil)
	require.NotContains(t, err.Error(), "former")
	var e *invoke.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, invoke.StatusCrashed, e.Status)
	require.Equal(t, invoke.StartedUnknown, e.Started)
}

// The end of a program after its answer is no error, of this call or the next.
func TestWarmLastWords(t *testing.T) {
	t.Parallel()
	_, f := warm(t, "on", nil)
	for range 3 {
		ended(t, says(t, f, "answer,exit", 10))
	}
}

func TestWarmTooLarge(t *testing.T) {
	t.Parallel()
	_, f := warm(t, "on", nil)
	n, err := f(t.Context(), []byte("echoed"), make([]byte, 5))
	require.NoError(t, err)
	require.Equal(t, 6, n, "the length needed")
	require.Equal(t, "echoed", says(t, f, "echoed", 6))
}

func TestWarmEarlyAnswer(t *testing.T) {
	t.Parallel()
	_, f := warm(t, "early", nil)
	_, err := f(t.Context(), make([]byte, 4<<20), make([]byte, 10))
	require.ErrorContains(t, err, "before it had read its whole call")
	require.Equal(t, "1", says(t, f, "count", 10))
}

// An answer that nobody asked for, and that is there when the next call comes, is not
// taken for that call's.
func TestWarmSecondAnswer(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	_, f := warm(t, "on", nil)
	require.Equal(t, "1", says(t, f, "later "+fifo, 1))
	written, err := os.Open(fifo)
	require.NoError(t, err)
	defer written.Close()
	_, err = f(t.Context(), []byte("count"), make([]byte, 1))
	require.ErrorContains(t, err, "outside of an answer, and was killed; the call was not sent")
	require.Equal(t, "1", says(t, f, "count", 10))
}

func TestWarmGivenUp(t *testing.T) {
	t.Parallel()
	l := &lines{to: make(chan string, 10)}
	_, f := warm(t, "on", l)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := f(ctx, []byte("hang"), nil)
		done <- err
	}()
	require.Equal(t, "started\n", <-l.to)
	require.Equal(t, "hangs\n", <-l.to)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Equal(t, "1", says(t, f, "count", 10))
	require.Equal(t, "started\n", <-l.to)
}
