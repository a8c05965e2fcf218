package wasm

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/invoke"
)

var count = entry("count", op["get count"], i32(1), op["add"], op["set count"], storing(op["get count"]))

func TestInputsAndResultsOfAnySize(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, config Config) {
		m := load(t, entries(entry("echo", echo)), config)
		f := entryPoint(t, m, "echo")
		for _, size := range []int{0, 1, 64, 4095, 4096, 4097, 70_000, 3 << 20, 5} {
			in := bytes.Repeat([]byte{byte(size), 2, 3}, size/3+1)[:size]
			out := bytes.Repeat([]byte{0xEE}, size+1)
			n, err := f(t.Context(), in, out)
			require.NoError(t, err)
			require.True(t, bytes.Equal(in, out[:n]), "%d bytes", size)
			require.EqualValues(t, 0xEE, out[size], "nothing after the result is written")
			if size > 0 {
				n, err = f(t.Context(), in, out[:size-1])
				require.NoError(t, err)
				require.Equal(t, size, n, "the length needed")
			}
		}
	})
}

func TestInstancesAreUsedAgainUnlessFresh(t *testing.T) {
	t.Parallel()
	for _, fresh := range []bool{false, true} {
		m := load(t, entries(count, entry("crash", op["unreachable"])), Config{Fresh: fresh})
		f, out := entryPoint(t, m, "count"), make([]byte, 4)
		for call := byte(1); call <= 3; call++ {
			_, err := f(t.Context(), nil, out)
			require.NoError(t, err)
			want := call
			if fresh {
				want = 1
			}
			require.Equal(t, want, out[0])
		}
		_, err := entryPoint(t, m, "crash")(t.Context(), nil, out)
		require.ErrorIs(t, err, invoke.ErrCrashed)
		_, err = f(t.Context(), nil, out)
		require.NoError(t, err)
		require.EqualValues(t, 1, out[0], "the instance that trapped is gone")
	}
}

func TestManyCallsAtATime(t *testing.T) {
	t.Parallel()
	for _, fresh := range []bool{false, true} {
		m := load(t, entries(entry("echo", echo), entry("crash", op["unreachable"])), Config{Fresh: fresh})
		f, crash := entryPoint(t, m, "echo"), entryPoint(t, m, "crash")
		var all sync.WaitGroup
		for g := range 4 {
			all.Go(func() {
				in, out := bytes.Repeat([]byte{byte(g)}, 100), make([]byte, 100)
				for range 200 {
					n, err := f(t.Context(), in, out)
					if err != nil || !bytes.Equal(out[:n], in) {
						t.Errorf("goroutine %d: %d %v", g, n, err)
						return
					}
				}
				if _, err := crash(t.Context(), nil, nil); err == nil {
					t.Error("no crash")
				}
			})
		}
		all.Wait()
	}
}

// blocking is a context that signals when its Err is called, by the watchdog.
type blocking struct {
	context.Context
	asked, end chan struct{}
	once       sync.Once
}

func (b *blocking) Err() error {
	b.once.Do(func() { close(b.asked) })
	select {
	case <-b.end:
		return context.Canceled
	default:
		return nil
	}
}

func TestBusyAndClose(t *testing.T) {
	t.Parallel()
	m, err := Load(t.Context(), entries(append(recursion, forever)...), Config{Instances: 1})
	require.NoError(t, err)
	ctx := &blocking{Context: t.Context(), asked: make(chan struct{}), end: make(chan struct{})}
	ended := make(chan error, 1)
	f := entryPoint(t, m, "forever")
	go func() {
		_, err := f(ctx, nil, nil)
		ended <- err
	}()
	<-ctx.asked
	_, err = entryPoint(t, m, "echo")(t.Context(), nil, nil)
	require.ErrorIs(t, err, invoke.ErrBusy)
	require.ErrorContains(t, m.Close(), "a function is running")
	close(ctx.end)
	require.ErrorIs(t, <-ended, invoke.ErrCanceled)
	afterwards(t, m)
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	_, err = f(t.Context(), nil, nil)
	require.ErrorIs(t, err, invoke.ErrRevoked)
}

func TestEntries(t *testing.T) {
	t.Parallel()
	m := load(t, entries(entry("b", echo), entry("a", echo), entry("_private", echo), entry("rfaas_other", echo),
		function{"malloc", typeAlloc, get(0)}), Config{Name: "some"})
	require.Equal(t, []string{"a", "b"}, m.Entries())
	_, err := m.Function("malloc")
	require.EqualError(t, err, `wasm: some: there is no entry point "malloc"; there are: a, b`)
}

func TestStartAndInitializeRunBeforeTheFirstCall(t *testing.T) {
	t.Parallel()
	add := func(n int32) []byte { return cat(op["get count"], i32(n), op["add"], op["set count"]) }
	m := load(t, assemble(program{functions: []function{count, {"", typeNone, add(10)}, {"_initialize", typeNone, add(100)}}, start: 1}), Config{})
	out := make([]byte, 4)
	_, err := entryPoint(t, m, "count")(t.Context(), nil, out)
	require.NoError(t, err)
	require.EqualValues(t, 111, out[0])
}

func TestTheWatchdogSleepsWhenNothingRuns(t *testing.T) {
	t.Parallel()
	m := load(t, entries(append(recursion, forever)...), Config{Spares: -1}) // preparing one makes calls, too
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := entryPoint(t, m, "forever")(ctx, nil, nil)
	require.ErrorIs(t, err, invoke.ErrCanceled)
	m.dog.look()
	require.True(t, m.dog.asleep.Load())
	_, err = entryPoint(t, m, "forever")(ctx, nil, nil)
	require.ErrorIs(t, err, invoke.ErrCanceled, "it is awake again")
}

func TestConfigsThatAreWrong(t *testing.T) {
	t.Parallel()
	code := entries(entry("echo", echo))
	for text, config := range map[string]Config{
		"a memory limit of 1 bytes":  {MemoryBytes: 1},
		"a memory limit of 8589":     {MemoryBytes: 8 << 30},
		"a time limit":               {TimeLimit: -1},
		"-1 instances":               {Instances: -1},
		"both names are needed":      {Directories: []Directory{{Guest: "/"}}},
		"an absolute path":           {Directories: []Directory{{Guest: "data", Host: "."}}},
		"path such as /data":         {Directories: []Directory{{Guest: "/a/../b", Host: "."}}},
		"two directories":            {Directories: []Directory{{Guest: "/a", Host: "."}, {Guest: "/a", Host: ".."}}},
		"the directory /a: ":         {Directories: []Directory{{Guest: "/a", Host: "/dev/null"}}},
		"the cache of compiled code": {CacheDir: "/dev/null/cache"},
		"an output limit":            {OutputBytes: -1},
	} {
		_, err := Load(t.Context(), code, config)
		require.ErrorContains(t, err, text)
	}
}

func TestCallsAllocateNothing(t *testing.T) {
	if testing.CoverMode() != "" || effort.Race() {
		t.Skip("the race detector and coverage allocate")
	}
	m := load(t, entries(entry("echo", echo)), Config{})
	f, in, out := entryPoint(t, m, "echo"), make([]byte, 64), make([]byte, 64)
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if n, err := f(ctx, in, out); err != nil || n != len(in) {
			t.Error(n, err)
		}
	}))
}
