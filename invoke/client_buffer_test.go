package invoke_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
)

func TestBuffer(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		const slotBytes = 1 << 20
		s := serve(t, url, invoke.WorkerConfig{SlotBytes: slotBytes, CallBytes: -1})
		c := s.dial(t, invoke.ClientConfig{SlotBytes: slotBytes, Slots: 2})
		f := find(t, c, "echo")
		b, err := c.NewBuffer(slotBytes, slotBytes)
		require.NoError(t, err)
		require.Len(t, b.In(), slotBytes)
		for _, size := range []int{0, 1, 100, 4096, slotBytes - 1, slotBytes} {
			for i := range b.In()[:size] {
				b.In()[i] = byte(i * 31)
			}
			result, err := b.Call(soon(t), f, size)
			require.NoError(t, err)
			require.True(t, bytes.Equal(b.In()[:size], result), "%d bytes came back changed", size)
		}
		_, ok := c.Timing()
		require.True(t, ok)

		_, err = b.Call(soon(t), f, slotBytes+1)
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		_, err = c.NewBuffer(slotBytes+1, 0)
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		_, err = c.NewBuffer(0, slotBytes+1)
		require.ErrorIs(t, err, invoke.ErrTooLarge)

		_, err = b.Call(soon(t), find(t, c, "fail"), 3)
		require.ErrorIs(t, err, invoke.ErrFunction)
		require.ErrorContains(t, err, "no luck with")
		require.NoError(t, b.Close())
	})
}

// TestBufferSmallerThanASlot: the worker keeps to the room that the buffer has.
func TestBufferSmallerThanASlot(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		room := make(chan int, 1)
		f := s.register(t, c, "room", func(_ context.Context, in, out []byte) (int, error) {
			room <- len(out)
			return int(in[0]) + int(in[1])<<8, nil
		})
		b, err := c.NewBuffer(2, 1000)
		require.NoError(t, err)
		copy(b.In(), []byte{1000 & 255, 1000 >> 8})
		result, err := b.Call(soon(t), f, 2)
		require.NoError(t, err)
		require.Len(t, result, 1000)
		require.Equal(t, 1000, receive(t, room))
		copy(b.In(), []byte{1001 & 255, 1001 >> 8})
		_, err = b.Call(soon(t), f, 2)
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		require.ErrorContains(t, err, "the result has 1001 bytes, there is room for 1000")
	})
}

// TestBufferQuarantine: an abandoned call keeps its buffer until its reply.
func TestBufferQuarantine(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		f, entered, release := s.gate(t, c)
		b, err := c.NewBuffer(10, 10)
		require.NoError(t, err)
		copy(b.In(), "first")
		_, err = b.Call(within(t, 20*time.Millisecond), f, 5)
		require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
		receive(t, entered)
		require.ErrorIs(t, b.Go(soon(t), f, 0), invoke.ErrBufferBusy)
		require.ErrorIs(t, b.Close(), invoke.ErrBufferBusy)
		_, err = b.Wait(soon(t))
		require.ErrorIs(t, err, invoke.ErrCollected)
		require.ErrorIs(t, b.Abandon(), invoke.ErrCollected)

		release <- struct{}{}
		echo := find(t, c, "echo") // answered after the late reply
		copy(b.In(), "again")
		result, err := b.Call(soon(t), echo, 5)
		require.NoError(t, err)
		require.Equal(t, "again", string(result))

		require.NoError(t, b.Go(soon(t), echo, 2))
		require.NoError(t, b.Abandon())
		eventually(t, "the buffer to come back", func() bool { return b.Go(soon(t), echo, 2) == nil })
		_, err = b.Wait(soon(t))
		require.NoError(t, err)
		require.NoError(t, b.Go(soon(t), echo, 1))
		eventually(t, "the reply", func() bool {
			credits, err := c.Credits()
			require.NoError(t, err)
			return b.Abandon() == nil || credits.Free == 16
		})
	})
}

// TestBuffersInParallel: calls with and without buffers share the credits.
func TestBuffersInParallel(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 5})
		f := find(t, c, "echo")
		var buffers [4]*invoke.Buffer
		for i := range buffers {
			var err error
			buffers[i], err = c.NewBuffer(8, 8)
			require.NoError(t, err)
		}
		for round := range 200 {
			for i, b := range buffers {
				b.In()[0], b.In()[1] = byte(i), byte(round)
				require.NoError(t, b.Go(soon(t), f, 2))
			}
			out := make([]byte, 1)
			n, err := c.Call(soon(t), f, []byte{byte(round)}, out)
			require.NoError(t, err)
			require.Equal(t, []byte{byte(round)}, out[:n])
			for i, b := range buffers {
				result, err := b.Wait(soon(t))
				require.NoError(t, err)
				require.Equal(t, []byte{byte(i), byte(round)}, result)
			}
		}
	})
}

// TestLargeSlots: slots as large as photographs, in which only what is used is
// memory.
func TestLargeSlots(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		slotBytes := scaled(64 << 20)
		s := serve(t, url, invoke.WorkerConfig{SlotBytes: slotBytes, Slots: 2, CallBytes: -1})
		c := s.dial(t, invoke.ClientConfig{SlotBytes: slotBytes, Slots: 2})
		f := s.register(t, c, "ends", func(_ context.Context, in, out []byte) (int, error) {
			out[0], out[len(in)-1] = in[len(in)-1], in[0]
			return len(in), nil
		})
		in, out := make([]byte, slotBytes), make([]byte, slotBytes)
		in[0], in[slotBytes-1] = 1, 2
		n, err := c.Call(soon(t), f, in, out)
		require.NoError(t, err)
		require.Equal(t, slotBytes, n)
		require.Equal(t, []byte{2, 1}, []byte{out[0], out[slotBytes-1]})
		_, err = c.Call(soon(t), f, append(in, 0), out)
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		require.ErrorContains(t, err, fmt.Sprintf("the input has %d bytes, a slot holds %d", slotBytes+1, slotBytes))
	})
}
