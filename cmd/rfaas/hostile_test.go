//go:build cgo

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
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
	path := filepath.Join(t.TempDir(), "hostile.so")
	compile(t, path, read(t, "testdata/hostile.c"))
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
		Command: []string{executor.ThisProgram, executorName}, Setup: executor.Setup{Transports: []string{"shm:"}},
		Confine: &policy, Spares: 1, Output: (&logging{format: "text"}).outputTo(&s.printed),
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
	e, err := s.supervisor.Start(t.Context(), executor.Order{Code: s.code, Assignment: executor.Assignment{
		Runtime: runtime.Native, Functions: []executor.Function{{Name: function, Entry: function}}, Slots: 1, SlotBytes: 4096,
		Mode: invoke.Warm, MemoryBytes: hostileMemory, TimeLimit: limit,
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

// neighbour makes one call after the other beside the hostile functions.
type neighbour struct {
	mu   sync.Mutex
	took []time.Duration // each call, in order
}

// run makes calls until it is stopped.
func (n *neighbour) run(stop <-chan struct{}, call func() (string, error)) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		began := time.Now()
		out, err := call()
		if err != nil || out != "hello" {
			return fmt.Errorf("call %d of the neighbour: %q, %w", n.calls(), out, err)
		}
		n.mu.Lock()
		n.took = append(n.took, time.Since(began))
		n.mu.Unlock()
	}
}

func (n *neighbour) calls() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.took)
}

// during does something while the calls continue, and returns how long they took then
// on average. The call under way at its end is one of them: if the neighbour stood
// still, it is the only one, and as long as that.
func (n *neighbour) during(t *testing.T, do func()) time.Duration {
	t.Helper()
	from := n.calls()
	do()
	to := n.calls() + 1
	require.Eventually(t, func() bool { return n.calls() >= to }, programTimeout, time.Millisecond, "the neighbour continues")
	n.mu.Lock()
	defer n.mu.Unlock()
	var sum time.Duration
	for _, took := range n.took[from:to] {
		sum += took
	}
	return sum / time.Duration(to-from)
}

// alone waits for some calls, and returns how long they took on average.
func (n *neighbour) alone(t *testing.T) time.Duration {
	t.Helper()
	const enough = 200
	return n.during(t, func() {
		until := n.calls() + enough
		require.Eventually(t, func() bool { return n.calls() >= until }, programTimeout, time.Millisecond, "the neighbour continues")
	})
}

const (
	// starved is how many times as long as alone the neighbour's calls take, on average,
	// beside a function that takes its processor away.
	starved = 10
	// rounds is how often a function is tried that seems to.
	rounds = 5
)

// notStarved checks that the neighbour's calls continue beside an attack, which takes
// its turns with peace. What else keeps this machine busy slows both down; what comes
// just with an attack, and goes before the next, does not come with each of them. So
// one round without starvation is enough to acquit, and a function that starves others
// has none.
func (n *neighbour) notStarved(t *testing.T, attack func()) {
	t.Helper()
	best := math.Inf(1)
	for round := 0; round < rounds && best >= starved; round++ {
		alone := n.alone(t)
		beside := n.during(t, attack)
		best = min(best, float64(beside)/float64(alone))
		t.Logf("the neighbour's calls took %v before, %v meanwhile", alone, beside)
	}
	require.Less(t, best, float64(starved), "times as long as alone, in the best of %d rounds", rounds)
}

// hostile is a function, and what it deserves.
type hostile struct {
	function string
	result   string // if the call comes to an end
	status   error  // if it does not
	says     string
}

func errno(e syscall.Errno) string { return fmt.Sprint(-int(e)) }

// attack calls the function in an executor of its own.
func (h hostile) attack(t *testing.T, s *hostileSite) {
	t.Helper()
	limit := programTimeout
	if h.function == "loop" {
		limit = hostileLimit
	}
	e, c, f := s.start(t, h.function, limit)
	report, confined := e.Confinement()
	require.True(t, confined)
	out, err := s.call(t, e, c, f, binary.NativeEndian.AppendUint32(nil, uint32(os.Getpid())))
	switch {
	case h.function == "memory_bomb" && !report.Applied(confine.MemoryLimit): // only root may make control groups
		require.True(t, report.Applied(confine.ResourceLimit), report)
		require.NoError(t, err)
		require.Equal(t, errno(unix.ENOMEM), out)
	case h.function == "thread_bomb" && !report.Applied(confine.TaskLimit) && err != nil: // the supervisor was faster
		require.ErrorIs(t, err, invoke.ErrCrashed)
		require.ErrorContains(t, err, "threads, of ")
	case h.function == "close_all" && err != nil: // it may end before the result is there
		require.ErrorIs(t, err, invoke.ErrCrashed)
	case h.status == nil:
		require.NoError(t, err)
		if h.function == "shadow" && report.Applied(confine.Namespaces) {
			h.result = errno(unix.ENOENT) // not in its root directory
		}
		require.Equal(t, h.result, out)
	default:
		require.ErrorIs(t, err, h.status)
		require.ErrorContains(t, err, h.says)
	}
	if h.function == "close_all" { // it has lost its supervisor, too: it is ended for that
		select {
		case <-e.Ended():
		case <-time.After(programTimeout):
			require.Fail(t, "an executor without descriptors lives on")
		}
	}
	c.Close()
	e.Stop(time.Second)
}

// Functions that do all they can to others: each gets what it deserves, the caller is
// told, and a neighbour's calls continue.
func TestHostileFunctions(t *testing.T) {
	s := newHostileSite(t)
	e, c, f := s.start(t, "echo", 0)
	defer c.Close()
	n, stop, done := &neighbour{}, make(chan struct{}), make(chan error, 1)
	go func() {
		done <- n.run(stop, func() (string, error) { return s.call(t, e, c, f, []byte("hello")) })
	}()
	prints := 0
	for _, h := range []hostile{
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
			n.notStarved(t, func() {
				if h.function == "print" {
					prints++
				}
				h.attack(t, s)
			})
		})
	}
	close(stop)
	require.NoError(t, <-done)
	_, ended := e.Fate()
	require.False(t, ended)
	require.Less(t, len(s.printed.String()), prints*2<<20, "what was printed is bounded")
}
