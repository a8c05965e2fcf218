package invoke_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/invoke"
)

func TestCallSizes(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		const slotBytes = 5000
		s := serve(t, url, invoke.WorkerConfig{SlotBytes: slotBytes})
		c := s.dial(t, invoke.ClientConfig{Slots: 3})
		require.Equal(t, slotBytes, c.SlotBytes(), "the worker grants less than asked for")
		require.Equal(t, 3, c.Slots(), "the client asks for less than the worker would grant")
		f := find(t, c, "echo")
		random := rand.New(rand.NewPCG(1, 2))
		for _, size := range []int{0, 1, 7, 63, 64, 65, 127, 128, 191, 192, 193, 255, 256, 257, 4095, 4096, 4097, slotBytes - 1, slotBytes} {
			in := make([]byte, size)
			for i := range in {
				in[i] = byte(random.Uint32())
			}
			out := bytes.Repeat([]byte{0xEE}, size+1)
			n, err := c.Call(soon(t), f, in, out)
			require.NoError(t, err)
			require.Equal(t, size, n)
			require.True(t, bytes.Equal(in, out[:n]), "%d bytes came back changed", size)
			require.Equal(t, byte(0xEE), out[n], "a byte behind the result of %d was written", size)
		}
	})
}

// TestManyCalls makes more calls on one connection than 16 bits can count, with
// ids that pass 2^32 or wrap around.
func TestManyCalls(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]uint64{"from 0": 0, "past 2^32": 1<<32 - 35_000, "past 2^64": 1<<64 - 35_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "shm:", invoke.WorkerConfig{Slots: 64})
			const depth = 37
			c := s.dial(t, invoke.WithFirstID(invoke.ClientConfig{Slots: depth}, first))
			f := find(t, c, "echo")
			ctx := soon(t)
			var futures [depth]invoke.Future
			for done := 0; done < 70_001; done += depth {
				for i := range futures {
					var err error
					futures[i], err = c.Go(ctx, f, binary.LittleEndian.AppendUint32(nil, uint32(done+i)))
					require.NoError(t, err)
				}
				for i := range futures {
					var out [4]byte
					n, err := futures[i].Wait(ctx, out[:])
					require.NoError(t, err)
					require.Equal(t, 4, n)
					require.EqualValues(t, done+i, binary.LittleEndian.Uint32(out[:]), "the result of another call")
				}
			}
		})
	}
}

func TestFunctionLookUp(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		echo, noop := find(t, c, "echo"), find(t, c, "noop")
		require.Equal(t, "echo", echo.Name())
		require.True(t, echo.Idempotent())
		require.False(t, noop.Idempotent(), "a function is not idempotent unless it says so")

		_, err := c.Function(soon(t), "ech")
		require.ErrorIs(t, err, invoke.ErrNotFound)
		require.ErrorContains(t, err, `no function "ech"`)
		require.ErrorContains(t, err, "echo, noop, fail")

		other := s.dial(t, invoke.ClientConfig{})
		_, err = other.Call(soon(t), echo, nil, nil)
		require.ErrorIs(t, err, invoke.ErrForeignHandle)
	})
}

func TestTiming(t *testing.T) {
	t.Parallel()
	s := serve(t, "loopback:", invoke.WorkerConfig{})
	c := s.dial(t, invoke.ClientConfig{})
	_, ok := c.Timing()
	require.False(t, ok, "nothing was collected yet")
	f, entered, release := s.gate(t, c)
	first, err := c.Go(soon(t), f, nil)
	require.NoError(t, err)
	receive(t, entered)
	release <- struct{}{}
	_, err = first.Wait(soon(t), nil)
	require.NoError(t, err)
	timing, ok := c.Timing()
	require.True(t, ok)
	require.Positive(t, timing.Execution)
	require.Less(t, timing.Execution, patience)
	require.Less(t, timing.Queue, patience)
}

// allocsPerRun is testing.AllocsPerRun, which would have the two ends share one
// processor.
func allocsPerRun(runs int, f func()) uint64 {
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.Mallocs - before.Mallocs) / uint64(runs)
}

func TestCallDoesNotAllocate(t *testing.T) {
	// Not parallel: other tests would allocate meanwhile.
	for _, url := range []string{"loopback:", "shm:"} {
		t.Run(url, func(t *testing.T) {
			// So long that sleeping, which may allocate, is the exception.
			awake := invoke.Adaptive(20 * time.Millisecond)
			s := serve(t, url, invoke.WorkerConfig{Mode: awake})
			c := s.dial(t, invoke.ClientConfig{Mode: awake})
			f := find(t, c, "echo")
			b, err := c.NewBuffer(64, 64)
			require.NoError(t, err)
			ctx, in, out := soon(t), make([]byte, 64), make([]byte, 64)
			background := context.Background()
			if effort.Race() {
				t.Skip("the race detector allocates")
			}
			measure := func(what string, f func()) {
				require.Zero(t, allocsPerRun(2000, f), what)
			}
			measure("call", func() { c.Call(background, f, in, out) })
			measure("call with a deadline", func() { c.Call(ctx, f, in, out) })
			measure("buffer", func() { b.Call(background, f, 64) })
			measure("pipelined", func() {
				var futures [8]invoke.Future
				for i := range futures {
					futures[i], _ = c.Go(background, f, in)
				}
				for i := range futures {
					futures[i].Wait(background, out)
				}
			})
			_, err = c.Call(background, f, in, out)
			require.NoError(t, err, "what was measured works")
		})
	}
}
