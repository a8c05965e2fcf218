//go:build cgo

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
)

// hostileSite has executors of testdata/hostile.c, as rfaas run starts them.
type hostileSite struct {
	supervisor *executor.Supervisor
	device     *transport.Device
	code       *os.File
	printed    transcript
}

func newHostileSite(t *testing.T) *hostileSite {
	t.Helper()
	source, err := os.ReadFile("testdata/hostile.c")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "hostile.so")
	compile(t, path, string(source))
	library, err := os.Open(path)
	require.NoError(t, err)
	defer library.Close()
	s := &hostileSite{}
	s.code, err = executor.SealedCode("hostile.so", library)
	require.NoError(t, err)
	s.device, err = transport.Open("shm:")
	require.NoError(t, err)
	policy := confine.DefaultPolicy()
	s.supervisor, err = executor.New(executor.Config{
		Command: []string{executor.ThisProgram, executorName}, Setup: executor.Setup{Transport: "shm:", Mode: invoke.Warm},
		Confine: &policy, Spares: 1, Output: &s.printed,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		s.supervisor.Close(0)
		require.NoError(t, s.device.Close())
		s.code.Close()
	})
	return s
}

const (
	hostileMemory = 64 << 20
	hostileLimit  = 300 * time.Millisecond // of the one that never ends
)

// start has an executor that offers one function, and a client of it.
func (s *hostileSite) start(t *testing.T, function string, limit time.Duration) (*executor.Executor, *invoke.Client, *invoke.Handle) {
	t.Helper()
	e, err := s.supervisor.Start(t.Context(), executor.Order{Core: executor.AnyCore, Code: s.code, Assignment: executor.Assignment{
		Runtime: runtime.Native, Functions: []executor.Function{{Name: function, Entry: function}}, Slots: 1, SlotBytes: 4096,
		MemoryBytes: hostileMemory, TimeLimit: limit,
	}})
	require.NoError(t, err)
	c, err := e.Dial(t.Context(), s.device, invoke.ClientConfig{Slots: 1, SlotBytes: 4096, Mode: invoke.Warm})
	require.NoError(t, err)
	f, err := c.Function(t.Context(), function)
	require.NoError(t, err)
	return e, c, f
}

// call is a call with a deadline; if the executor is lost, it comes to the
// executor's fate.
func (s *hostileSite) call(t *testing.T, e *executor.Executor, c *invoke.Client, f *invoke.Handle, in []byte) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	defer cancel()
	out := make([]byte, 4096)
	n, err := c.Call(ctx, f, in, out)
	if _, gone := errors.AsType[*invoke.GoneError](err); gone {
		return "", e.Lost(ctx).Err()
	}
	return string(out[:n]), err
}

// Functions that do all they can to others: each gets what it deserves, the caller is
// told, and a neighbour's calls go on.
func TestHostileFunctions(t *testing.T) {
	s := newHostileSite(t)
	neighbour, c, f := s.start(t, "echo", 0)
	defer c.Close()
	stop, done := make(chan struct{}), make(chan error, 1)
	var calls atomic.Int64
	var took []time.Duration
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			if out, err := s.call(t, neighbour, c, f, []byte("hello")); err != nil || out != "hello" {
				done <- fmt.Errorf("call %d of the neighbour: %q, %w", calls.Load(), out, err)
				return
			}
			took = append(took, time.Since(began))
			calls.Add(1)
		}
	}()
	require.Eventually(t, func() bool { return calls.Load() >= 1000 }, programTimeout, time.Millisecond)
	quiet := calls.Load()
	parent := binary.NativeEndian.AppendUint32(nil, uint32(os.Getpid()))
	errno := func(e syscall.Errno) string { return fmt.Sprint(-int(e)) }
	for _, h := range []struct {
		function string
		result   string // if the call comes to an end
		status   error  // if it does not
		says     string
	}{
		{function: "null", status: invoke.ErrCrashed, says: "killed by signal 11 (segmentation fault)"},
		{function: "give_up", status: invoke.ErrCrashed, says: "killed by signal 6 (aborted)"},
		{function: "overflow", status: invoke.ErrCrashed, says: "killed by signal 11 (segmentation fault)"},
		{function: "overrun", status: invoke.ErrCrashed, says: `killed by signal 11 (segmentation fault) while function "overrun" ran, which went past the room for its result (4096 bytes)`},
		{function: "leave", status: invoke.ErrCrashed, says: "ended with exit status 7"},
		{function: "memory_bomb", status: invoke.ErrCrashed, says: "used up its memory (its limit is 67108864 bytes)"},
		{function: "loop", status: invoke.ErrDeadlineExceeded, says: "longer than its time limit of 300ms"},
		{function: "close_all", result: "0"},
		{function: "too_long", status: invoke.ErrTooLarge},
		{function: "fork_bomb", result: errno(unix.EPERM)},
		{function: "thread_bomb", result: errno(unix.EAGAIN)},
		{function: "shadow", result: errno(unix.EACCES)},
		{function: "dial", result: errno(unix.EPERM)},
		{function: "kill_parent", result: errno(unix.EPERM)},
		{function: "print", result: "0"},
	} {
		t.Run(h.function, func(t *testing.T) {
			limit := programTimeout
			if h.function == "loop" {
				limit = hostileLimit
			}
			e, c, f := s.start(t, h.function, limit)
			report, confined := e.Confinement()
			require.True(t, confined)
			out, err := s.call(t, e, c, f, parent)
			switch {
			case h.function == "memory_bomb" && !report.Applied(confine.MemoryLimit): // only root may make control groups
				require.True(t, report.Applied(confine.ResourceLimit), report)
				require.NoError(t, err)
				require.Equal(t, errno(unix.ENOMEM), out)
			case h.function == "close_all" && err != nil: // it may end before the result is there
				require.ErrorIs(t, err, invoke.ErrCrashed)
			case h.status == nil:
				require.NoError(t, err)
				require.Equal(t, h.result, out)
			default:
				require.ErrorIs(t, err, h.status)
				require.ErrorContains(t, err, h.says)
			}
			if h.function == "close_all" { // it has lost its supervisor, too: it is ended for that
				select {
				case <-e.Ended():
				case <-time.After(programTimeout):
					require.Fail(t, "an executor without descriptors goes on")
				}
			}
			c.Close()
			e.Stop(time.Second)
			before := calls.Load()
			require.Eventually(t, func() bool { return calls.Load() > before }, programTimeout, time.Millisecond, "the neighbour goes on")
		})
	}
	close(stop)
	require.NoError(t, <-done)
	_, ended := neighbour.Fate()
	require.False(t, ended)
	require.Less(t, len(s.printed.String()), 2<<20, "what was printed is bounded")
	alone, beside := took[:quiet], took[quiet:]
	slices.Sort(alone)
	slices.Sort(beside)
	t.Logf("the neighbour's p50: %v before, %v in %d calls meanwhile", alone[len(alone)/2], beside[len(beside)/2], len(beside))
}
