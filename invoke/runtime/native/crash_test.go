//go:build cgo && linux && (amd64 || arm64)

package native_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/runtime/native"
)

// What a child does: functions of an object to call in sequence, or the steps of child.
const (
	childObject = "RFAAS_NATIVE_TEST_OBJECT"
	childSteps  = "RFAAS_NATIVE_TEST_STEPS"
	// A file whose first word is Config.Overrun; none if it is empty.
	childOverrun = "RFAAS_NATIVE_TEST_OVERRUN"
	// The same for Config.Overflow.
	childOverflow = "RFAAS_NATIVE_TEST_OVERFLOW"
)

// childStack is the stack of the child's functions.
const childStack = 1 << 20

// child is the program that crashes. It prints how far it got.
func child() {
	// No core dump.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	m, err := native.Open(os.Getenv(childObject), native.Config{Overrun: wordOf(os.Getenv(childOverrun)), Overflow: wordOf(os.Getenv(childOverflow)), StackBytes: childStack})
	if err != nil {
		fmt.Println(err)
		os.Exit(100)
	}
	fmt.Println("opened")
	if faults() != "invalid memory address or nil pointer dereference" {
		os.Exit(101)
	}
	for _, step := range strings.Fields(os.Getenv(childSteps)) {
		switch step {
		case "close":
			fmt.Println("close", m.Close())
			continue
		case "panic":
			var p *int
			*p = 1
		case "starve":
			out := make([]byte, 2<<20)
			f, _ := m.Function("noop")
			_ = unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20})
			n, err := f(context.Background(), nil, out)
			fmt.Println(n, err, errors.Is(err, invoke.ErrBusy))
			n, err = f(context.Background(), nil, out[:64])
			fmt.Println(n, err)
			_, err = native.Open(os.Getenv(childObject), native.Config{})
			fmt.Println(err)
			continue
		case "notify":
			signal.Notify(make(chan os.Signal, 1), syscall.SIGSEGV, syscall.SIGABRT)
			continue
		case "forever":
			select {} // another thread ends the process
		}
		f, err := m.Function(step)
		if err != nil {
			fmt.Println(err)
			os.Exit(102)
		}
		n, err := f(context.Background(), make([]byte, 64), make([]byte, 64))
		fmt.Println("returned", step, n, err)
	}
	os.Exit(103)
}

// faults makes a fault in Go code, and returns the message of its panic.
func faults() (what string) {
	defer func() {
		what = strings.TrimPrefix(fmt.Sprint(recover()), "runtime error: ")
	}()
	var p *[100]int
	return fmt.Sprint(p[7])
}

// A crash ends the process by its signal, at once, and without a report of Go's.
func TestCrash(t *testing.T) {
	t.Parallel()
	crashes, throws := build(t, "crashes.c"), build(t, "throws.cpp")
	early, late := build(t, "constructor.c"), build(t, "constructor.c", "-DLATE")
	resolver := build(t, "constructor.c", "-DRESOLVER")
	const opened = "opened\n"
	for name, c := range map[string]struct {
		object, steps string
		signal        syscall.Signal // or, if 0:
		status        int
		stdout        string
		stderr        string
	}{
		"null_read":       {signal: syscall.SIGSEGV},
		"null_call":       {signal: syscall.SIGSEGV},
		"write_on":        {signal: syscall.SIGSEGV},
		"write_behind":    {signal: syscall.SIGSEGV},
		"write_far":       {signal: syscall.SIGSEGV},
		"write_before":    {signal: syscall.SIGSEGV},
		"bus":             {signal: syscall.SIGBUS},
		"illegal":         {signal: syscall.SIGILL},
		"trap":            {signal: syscall.SIGTRAP},
		"divide":          {signal: syscall.SIGFPE},
		"forbidden":       {signal: syscall.SIGSYS},
		"give_up":         {signal: syscall.SIGABRT},
		"blocked":         {signal: syscall.SIGSEGV},
		"overflow":        {signal: syscall.SIGSEGV},
		"overflow_far":    {signal: syscall.SIGSEGV},
		"exit_0":          {status: 0},
		"exit_7":          {status: 7},
		"exit_9_now":      {status: 9},
		"thread_null":     {signal: syscall.SIGSEGV},
		"thread_overflow": {signal: syscall.SIGSEGV},
		"thread_abort":    {signal: syscall.SIGABRT},
		"leave":           {signal: syscall.SIGABRT, stderr: "native: a function ended the thread that called it (pthread_exit)\n"},
		// Go would deliver the signal to signal.Notify, and the fault would repeat.
		"thread_null, asked for":  {steps: "notify thread_null", signal: syscall.SIGSEGV},
		"thread_abort, asked for": {steps: "notify thread_abort", signal: syscall.SIGABRT},
		"thread outside of a call": {steps: "thread_left thread_go forever", signal: syscall.SIGSEGV,
			stdout: "opened\nreturned thread_left 0 <nil>\nreturned thread_go 0 <nil>\n"},
		"uncaught":    {object: throws, signal: syscall.SIGABRT, stderr: "nobody catches this"},
		"constructor": {object: early, steps: "noop", signal: syscall.SIGSEGV, stdout: "-"},
		"resolver":    {object: resolver, steps: "chosen", signal: syscall.SIGSEGV},
		"destructor":  {object: late, steps: "noop close", signal: syscall.SIGSEGV, stdout: "opened\nreturned noop 0 <nil>\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.object == "" {
				c.object = crashes
			}
			if c.steps == "" {
				c.steps = name
			}
			if c.stdout == "" {
				c.stdout = opened
			}
			stdout, stderr, status := run(t, c.object, c.steps)
			if c.signal != 0 {
				require.True(t, status.Signaled(), "%s\n%s", describe(status), stderr)
				require.Equal(t, c.signal, status.Signal(), stderr)
			} else {
				require.True(t, status.Exited(), "%s\n%s", describe(status), stderr)
				require.Equal(t, c.status, status.ExitStatus(), stderr)
			}
			if !strings.HasPrefix(c.stdout, "opened") {
				require.Empty(t, stdout)
			} else if name != "thread outside of a call" {
				require.Equal(t, c.stdout, stdout)
			} else { // it may end before it has printed everything
				require.True(t, strings.HasPrefix(c.stdout, stdout), stdout)
			}
			if c.stderr == "" {
				require.Empty(t, stderr)
			}
			require.Contains(t, stderr, c.stderr)
			require.Less(t, len(stderr), 300)
		})
	}
}

// A crash of Go code is Go's, with its report.
func TestCrashOfGo(t *testing.T) {
	t.Parallel()
	_, stderr, status := run(t, build(t, "functions.c"), "noop panic")
	require.True(t, status.Exited(), describe(status))
	require.Equal(t, 2, status.ExitStatus())
	require.Contains(t, stderr, "nil pointer dereference")
	require.Contains(t, stderr, "goroutine 1 [running]")
}

func TestNoMemory(t *testing.T) {
	t.Parallel()
	if effort.Race() {
		t.Skip("the race detector ends a process that gets no memory")
	}
	path := build(t, "functions.c")
	stdout, stderr, status := run(t, path, "starve")
	require.Equal(t, 103, status.ExitStatus(), stderr)
	require.Equal(t, "opened\n"+
		"0 native: "+path+": memory for results of 2097152 bytes: cannot allocate memory: invoke: busy true\n"+
		"0 <nil>\n"+
		"native: "+path+": memory for its stack (8388608 bytes) and results (1048576 bytes): Cannot allocate memory: allow the process more memory (RLIMIT_AS, vm.max_map_count)\n", stdout)
}

// run runs a child to its end.
func run(t *testing.T, object, steps string, env ...string) (stdout, stderr string, status syscall.WaitStatus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), childObject+"="+object, childSteps+"="+steps)
	cmd.Env = append(cmd.Env, env...)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	_ = cmd.Run()
	require.NoError(t, ctx.Err(), "it hangs: %s%s", out.String(), failed.String())
	return out.String(), failed.String(), cmd.ProcessState.Sys().(syscall.WaitStatus)
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "ended by " + status.Signal().String()
	}
	return fmt.Sprintf("exited with status %d", status.ExitStatus())
}

// Faults of Go code are panics on a thread that ran native code, too.
func TestFaultsOfGo(t *testing.T) {
	f := function(t, open(t, build(t, "functions.c"), native.Config{}), "noop")
	onOneThread(t)
	_, err := f(t.Context(), nil, nil)
	require.NoError(t, err)
	require.Equal(t, "invalid memory address or nil pointer dereference", faults())

	hole, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(hole)) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	require.Panics(t, func() { hole[1] = 1 })
}

// wordOf maps the first word of a file; it is nil for no path.
func wordOf(path string) *atomic.Uint64 {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return pages.Word(mem)
}

// Config.Overrun and Overflow tell a function that writes past the memory for its result, or
// needs more stack than there is, from one that crashes elsewhere.
func TestOverrun(t *testing.T) {
	t.Parallel()
	crashes := build(t, "crashes.c")
	const out = 64 // the output of the child's calls
	for steps, want := range map[string]struct{ overrun, overflow uint64 }{
		"write_on": {overrun: out}, "write_behind": {overrun: out}, "write_far": {overrun: out},
		"overflow": {overflow: childStack}, "overflow_far": {overflow: childStack},
		"write_before": {}, "null_read": {}, "give_up": {}, "thread_null": {}, "thread_overflow": {},
	} {
		t.Run(steps, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			word := func(name string) (path string, read func() uint64) {
				path = filepath.Join(dir, name)
				require.NoError(t, os.WriteFile(path, make([]byte, 8), 0o600))
				return path, func() uint64 {
					word, err := os.ReadFile(path)
					require.NoError(t, err)
					return binary.NativeEndian.Uint64(word)
				}
			}
			overrun, overrunIs := word("overrun")
			overflow, overflowIs := word("overflow")
			_, stderr, status := run(t, crashes, steps, childOverrun+"="+overrun, childOverflow+"="+overflow)
			require.True(t, status.Signaled(), stderr)
			require.Equal(t, want.overrun, overrunIs())
			require.Equal(t, want.overflow, overflowIs())
		})
	}
}

// What a function prints to a pipe is written line by line, so a crash loses only what has
// no end of its line, and Close writes that, too.
func TestOutput(t *testing.T) {
	t.Parallel()
	crashes := build(t, "crashes.c")
	for steps, want := range map[string]string{
		"say_null":        "opened\nsaid\n",
		"say close":       "opened\nreturned say 0 <nil>\nto the endclose <nil>\n",
		"say_environment": "opened\ny 1\nreturned say_environment 0 <nil>\n",
	} {
		stdout, _, _ := run(t, crashes, steps)
		require.Equal(t, want, stdout)
	}
}
