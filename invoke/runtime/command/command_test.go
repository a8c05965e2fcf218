package command_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/invoke/runtime/command"
)

var _ runtime.Module = (*command.Module)(nil)

// lines are what a program writes to its standard error, one per Write.
type lines struct {
	mu  sync.Mutex
	all []string
	to  chan string // gets each of them, unless nil
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	l.all = append(l.all, string(line))
	l.mu.Unlock()
	if l.to != nil {
		l.to <- string(line)
	}
	return len(line), nil
}

// shell opens a script for the shell.
func shell(t testing.TB, script string, config command.Config) invoke.Function {
	t.Helper()
	config.Program = "/bin/sh"
	config.Arguments = append([]string{"-c", script, "script"}, config.Arguments...)
	return open(t, config)
}

func open(t testing.TB, config command.Config) invoke.Function {
	t.Helper()
	config.Name = "f"
	m, err := command.Open(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	f, err := m.Function("f")
	require.NoError(t, err)
	return f
}

// says calls a function and returns its result.
func says(t testing.TB, f invoke.Function, in string, room int) string {
	t.Helper()
	out := make([]byte, room)
	n, err := f(t.Context(), []byte(in), out)
	require.NoError(t, err)
	require.LessOrEqual(t, n, room)
	return string(out[:n])
}

func TestResult(t *testing.T) {
	t.Parallel()
	cat := open(t, command.Config{Program: "/bin/cat"})
	large := strings.Repeat("0123456789abcdef", 3<<16) // 3 MiB: several pipes full
	for _, in := range []string{"", "a", large[:64<<10], large[:64<<10+1], large} {
		require.True(t, in == says(t, cat, in, len(in)), "%d bytes", len(in))
	}
}

// What the program is given, and nothing else.
func TestSurroundings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := shell(t, `echo "$NAME"; echo "$HOME"; pwd -P; echo "$@"`, command.Config{Environment: []string{"NAME=a b"}, Directory: dir, Arguments: []string{"x", "y z"}})
	physical, err := filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	require.Equal(t, "a b\n\n"+physical+"\nx y z\n", says(t, f, "", 1000))
}

func TestInputInFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := shell(t, `cat; cat "${1#--in=}"; echo "$1,$2"`, command.Config{TempDirectory: dir, Arguments: []string{"--in={}", "{}"}})
	said := says(t, f, "the input\n", 1000)
	require.True(t, strings.HasPrefix(said, "the input\n--in="+dir+"/"), said)
	in, again, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(said, "the input\n--in=")), ",")
	require.Equal(t, in, again)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]invoke.FunctionError{
		`exit 7`: {Code: 7, Message: "exit status 7"},
		`echo half a result; echo first >&2; echo last >&2; exit 255`: {Code: 255, Message: "first\nlast"},
		`printf 'a\377b' >&2; exit 1`:                                 {Code: 1, Message: "a?b"},
		// 1025 bytes: the first character is cut in two.
		`printf 'ä%01022d\n' 0 >&2; exit 2`: {Code: 2, Message: strings.Repeat("0", 1022)},
	} {
		_, err := shell(t, script, command.Config{})(t.Context(), nil, make([]byte, 100))
		var got *invoke.FunctionError
		require.ErrorAs(t, err, &got, script)
		require.Equal(t, want, *got)
	}
	for signal, want := range map[string]string{"SEGV": "f was ended by SIGSEGV (segmentation fault): why", "KILL": "f was ended by SIGKILL (killed): why"} {
		_, err := shell(t, "ulimit -c 0; echo why >&2; kill -"+signal+" $$", command.Config{})(t.Context(), nil, nil)
		require.ErrorIs(t, err, invoke.ErrCrashed)
		require.ErrorContains(t, err, want)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	for _, room := range []int{0, 3, 1 << 20} {
		_, err := shell(t, `while echo 0123456789abcdef; do :; done`, command.Config{})(t.Context(), nil, make([]byte, room))
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		require.ErrorContains(t, err, strconv.Itoa(room)+" bytes")
	}
}

// Programs that do not care for their input, or write before they read it.
func TestNoDeadlock(t *testing.T) {
	t.Parallel()
	in := strings.Repeat("x", 3<<20)
	for script, want := range map[string]int{
		`echo ok`:                            3,
		`exec <&-; sleep 0.01`:               0,
		`exec >&-; cat >/dev/null`:           0,
		`head -c 2000000 /dev/zero`:          2000000,
		`head -c 2000000 /dev/zero; cat`:     2000000 + len(in),
		`head -c 2000000 /dev/zero >&2; cat`: len(in),
	} {
		require.Len(t, says(t, shell(t, script, command.Config{}), in, 6<<20), want, script)
	}
}

// Whole lines come as they are written, before the program ends.
func TestStderr(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	l := &lines{to: make(chan string, 10)}
	f := shell(t, `printf 'one\ntw' >&2; read line < "$1"; printf 'o\n%05000d' 0 >&2`, command.Config{Stderr: l, Arguments: []string{fifo}})
	done := make(chan error)
	go func() {
		_, err := f(t.Context(), nil, nil)
		done <- err
	}()
	require.Equal(t, "one\n", <-l.to)
	require.NoError(t, os.WriteFile(fifo, []byte("go on\n"), 0o600))
	require.NoError(t, <-done)
	require.Equal(t, []string{"one\n", "two\n", strings.Repeat("0", 4095) + "0\n", strings.Repeat("0", 904) + "\n"}, l.all)
}

// gone waits until no process holds the other end of a fifo that it has inherited.
func gone(t *testing.T, fifo *os.File) {
	t.Helper()
	_, err := io.ReadAll(fifo)
	require.NoError(t, err)
}

// held makes a fifo for programs to hold open; it is open for reading.
func held(t *testing.T) (string, *os.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(path, 0o600))
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return path, f
}

// Processes that a program leaves behind are killed, and do not hold its call up.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	path, fifo := held(t)
	f := shell(t, `exec 9>"$1"; (sleep 1000 & sleep 1000 &) ; sleep 1000 & echo done`, command.Config{Arguments: []string{path}})
	require.Equal(t, "done\n", says(t, f, "", 100))
	gone(t, fifo)
}

// One with a session of its own, which is not killed, holds no call up either.
func TestOtherSession(t *testing.T) {
	t.Parallel()
	path, fifo := held(t)
	ready := filepath.Join(t.TempDir(), "ready")
	require.NoError(t, unix.Mkfifo(ready, 0o600))
	l := &lines{to: make(chan string, 1)}
	f := shell(t, `exec 9>"$1"; setsid sh -c 'echo $$ >&2; echo >"$0"; exec sleep 1000' "$2" & read x <"$2"; echo done`,
		command.Config{Arguments: []string{path, ready}, Stderr: l})
	require.Equal(t, "done\n", says(t, f, "", 100))
	pid, err := strconv.Atoi(strings.TrimSpace(<-l.to))
	require.NoError(t, err)
	require.NoError(t, unix.Kill(pid, unix.SIGKILL))
	gone(t, fifo)
}

// ended waits until a process has, which this one need not have reaped.
func ended(t testing.TB, pid string) {
	t.Helper()
	number, err := strconv.Atoi(strings.TrimSpace(pid))
	require.NoError(t, err)
	fd, err := unix.PidfdOpen(number, 0)
	require.NoError(t, err)
	for n := 0; n == 0 || err == unix.EINTR; {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
	}
	require.NoError(t, err)
	require.NoError(t, unix.Close(fd))
}

// waiting is told the number of a process, and waits for its end.
type waiting struct{ t *testing.T }

func (w waiting) Write(pid []byte) (int, error) {
	ended(w.t, string(pid))
	return len(pid), nil
}

// What a program wrote counts whole, also if it is read when the program has ended.
func TestTooLargeAtEnd(t *testing.T) {
	t.Parallel()
	_, err := shell(t, `echo $$ >&2; echo hello`, command.Config{Stderr: waiting{t}})(t.Context(), nil, make([]byte, 3))
	require.ErrorIs(t, err, invoke.ErrTooLarge)
}

// askedContext says when its end is waited for.
type askedContext struct {
	context.Context
	once  sync.Once
	asked chan struct{}
}

func (c *askedContext) Done() <-chan struct{} {
	c.once.Do(func() { close(c.asked) })
	return c.Context.Done()
}

// A call that is given up, and one whose module is closed, kill the whole group.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(*command.Module, context.CancelCauseFunc)
		want error
	}{
		"cancelled": {func(_ *command.Module, cancel context.CancelCauseFunc) { cancel(errors.New("no more")) }, context.Canceled},
		"closed":    {func(m *command.Module, _ context.CancelCauseFunc) { _ = m.Close() }, invoke.ErrCanceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, fifo := held(t)
			l := &lines{to: make(chan string, 1)}
			m, err := command.Open(command.Config{Name: "f", Program: "/bin/sh", Arguments: []string{"-c", `exec 9>"$0"; sleep 1000 & echo started >&2; wait`, path}, Stderr: l})
			require.NoError(t, err)
			f, err := m.Function("f")
			require.NoError(t, err)
			inner, cancel := context.WithCancelCause(t.Context())
			ctx := &askedContext{Context: inner, asked: make(chan struct{})}
			done := make(chan error)
			go func() {
				_, err := f(ctx, nil, nil)
				done <- err
			}()
			<-l.to
			<-ctx.asked
			_, err = f(t.Context(), nil, nil)
			require.ErrorIs(t, err, invoke.ErrBusy)
			c.end(m, cancel)
			err = <-done
			require.ErrorIs(t, err, c.want)
			require.NotEqual(t, invoke.StatusFunctionError, invoke.StatusOf(err))
			gone(t, fifo)
			require.NoError(t, m.Close())
			_, err = f(t.Context(), nil, nil)
			require.ErrorContains(t, err, "f is closed")
		})
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	_, err := shell(t, `sleep 1000`, command.Config{})(ctx, nil, nil)
	require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	for want, c := range map[string]command.Config{
		"no program":                    {},
		"no such file":                  {Program: filepath.Join(dir, "missing")},
		"is not a file":                 {Program: dir},
		"is not executable: make it so": {Program: plain},
		`"NAME": must be NAME=value`:    {Program: "/bin/sh", Environment: []string{"NAME"}},
		"directory: stat":               {Program: "/bin/sh", Directory: filepath.Join(dir, "missing")},
		"is not a directory":            {Program: "/bin/sh", TempDirectory: plain},
		"needs a directory for files":   {Program: "/bin/sh", Arguments: []string{"-{}"}},
		"this one is warm":              {Program: "/bin/sh", Arguments: []string{"{}"}, Warm: true},
	} {
		_, err := command.Open(c)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "command: ")
	}
	m, err := command.Open(command.Config{Program: "/bin/sh"})
	require.NoError(t, err)
	defer m.Close()
	_, err = m.Function("other")
	require.ErrorContains(t, err, `no entry point "other"; there is: sh`)
}

// What cannot be started says what to do.
func TestNotStartable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, want := range map[string]string{"#!/no/interpreter\n": "is the interpreter there", "text": "whose first line names its interpreter"} {
		path := filepath.Join(dir, strconv.Itoa(len(text)))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o700))
		_, err := open(t, command.Config{Program: path})(t.Context(), bytes.Repeat([]byte("x"), 100), nil)
		require.ErrorContains(t, err, want)
	}
}
