package invoke_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
)

// TestPipelining keeps all credits in use and waits in a random order.
func TestPipelining(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 13})
		f := find(t, c, "echo")
		ctx := soon(t)
		futures := map[uint64]invoke.Future{}
		var in [300]byte
		out := make([]byte, len(in))
		size := func(i uint64) int { return 8 + int(i*7)%(len(in)-8) }
		for next := uint64(0); next < 3000 || len(futures) > 0; {
			for next < 3000 && len(futures) < c.Slots() && random.IntN(4) > 0 {
				binary.LittleEndian.PutUint64(in[:], next)
				future, err := c.Go(ctx, f, in[:size(next)], invoke.CallOptions{NoWait: true})
				require.NoError(t, err)
				futures[next] = future
				next++
			}
			if len(futures) == c.Slots() {
				_, err := c.Go(ctx, f, nil, invoke.CallOptions{NoWait: true})
				require.ErrorIs(t, err, invoke.ErrNoCredit)
				_, err = c.Go(ctx, f, nil)
				require.ErrorIs(t, err, invoke.ErrNoCredit, "it would wait for ever")
				_, err = c.Call(ctx, f, nil, nil)
				require.ErrorIs(t, err, invoke.ErrNoCredit)
			}
			for i, future := range futures { // in no order
				if random.IntN(2) > 0 {
					continue
				}
				n, err := future.Wait(ctx, out)
				require.NoError(t, err)
				require.Equal(t, size(i), n)
				require.Equal(t, i, binary.LittleEndian.Uint64(out))
				delete(futures, i)
				_, err = future.Wait(ctx, out)
				require.ErrorIs(t, err, invoke.ErrCollected)
			}
		}
		credits, err := c.Credits()
		require.NoError(t, err)
		require.Equal(t, invoke.Credits{Free: 13}, credits)
	})
}

// TestStaleFuture: a future does not pass for its successor in the slot.
func TestStaleFuture(t *testing.T) {
	t.Parallel()
	s := serve(t, "loopback:", invoke.WorkerConfig{})
	c := s.dial(t, invoke.ClientConfig{Slots: 1})
	f := find(t, c, "echo")
	first, err := c.Go(soon(t), f, []byte("1"))
	require.NoError(t, err)
	_, err = first.Wait(soon(t), make([]byte, 1))
	require.NoError(t, err)
	second, err := c.Go(soon(t), f, []byte("2"))
	require.NoError(t, err)
	_, err = first.Wait(soon(t), make([]byte, 1))
	require.ErrorIs(t, err, invoke.ErrCollected)
	_, err = first.Ready()
	require.ErrorIs(t, err, invoke.ErrCollected)
	require.ErrorIs(t, first.Abandon(), invoke.ErrCollected)
	out := make([]byte, 1)
	_, err = second.Wait(soon(t), out)
	require.NoError(t, err)
	require.Equal(t, "2", string(out))
}

func TestReadyAndAbandon(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 2})
		f, entered, release := s.gate(t, c)
		future, err := c.Go(soon(t), f, []byte("x"))
		require.NoError(t, err)
		receive(t, entered)
		ready, err := future.Ready()
		require.NoError(t, err)
		require.False(t, ready)
		release <- struct{}{}
		eventually(t, "the reply", func() bool {
			ready, err := future.Ready()
			require.NoError(t, err)
			return ready
		})
		require.NoError(t, future.Abandon(), "a finished call can be dropped, too")
		require.ErrorIs(t, future.Abandon(), invoke.ErrCollected)
		_, err = future.Ready()
		require.ErrorIs(t, err, invoke.ErrCollected)

		future, err = c.Go(soon(t), f, []byte("y"))
		require.NoError(t, err)
		receive(t, entered)
		require.NoError(t, future.Abandon())
		credits, err := c.Credits()
		require.NoError(t, err)
		require.Equal(t, invoke.Credits{Free: 1, Quarantined: 1}, credits)
		release <- struct{}{}
		eventually(t, "the end of the quarantine", func() bool {
			credits, err := c.Credits()
			require.NoError(t, err)
			return credits == invoke.Credits{Free: 2}
		})
	})
}

func TestConcurrentUse(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		f, entered, release := s.gate(t, c)
		b, err := c.NewBuffer(8, 8)
		require.NoError(t, err)
		future, err := c.Go(soon(t), f, nil)
		require.NoError(t, err)
		receive(t, entered)
		var waiting sync.WaitGroup
		waiting.Go(func() {
			_, err := future.Wait(soon(t), nil)
			for errors.Is(err, invoke.ErrConcurrentUse) { // it met the look below
				_, err = future.Wait(soon(t), nil)
			}
			assert.NoError(t, err)
		})
		// The other goroutine is in Wait, or about to be.
		eventually(t, "concurrent use to be noticed", func() bool {
			_, err := future.Ready()
			return err != nil
		})
		for what, use := range map[string]func() error{
			"call":         func() error { _, err := c.Call(soon(t), f, nil, nil); return err },
			"go":           func() error { _, err := c.Go(soon(t), f, nil); return err },
			"wait":         func() error { _, err := future.Wait(soon(t), nil); return err },
			"ready":        func() error { _, err := future.Ready(); return err },
			"abandon":      func() error { return future.Abandon() },
			"look-up":      func() error { _, err := c.Function(soon(t), "echo"); return err },
			"credits":      func() error { _, err := c.Credits(); return err },
			"new buffer":   func() error { _, err := c.NewBuffer(1, 1); return err },
			"buffer go":    func() error { return b.Go(soon(t), f, 0) },
			"buffer wait":  func() error { _, err := b.Wait(soon(t)); return err },
			"buffer close": func() error { return b.Close() },
		} {
			require.ErrorIs(t, use(), invoke.ErrConcurrentUse, what)
		}
		release <- struct{}{}
		waiting.Wait()
		require.NoError(t, b.Close())
	})
}

// TestUnsentCalls: what is known not to have been sent says so.
func TestUnsentCalls(t *testing.T) {
	t.Parallel()
	s := serve(t, "loopback:", invoke.WorkerConfig{})
	c := s.dial(t, invoke.ClientConfig{})
	f := s.register(t, c, "never", s.never(t))
	past, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Hour))
	defer cancel()
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, test := range []struct {
		ctx   context.Context
		is    error
		cause error
	}{
		{past, invoke.ErrDeadlineExceeded, context.DeadlineExceeded},
		{canceled, invoke.ErrCanceled, context.Canceled},
	} {
		_, err := c.Call(test.ctx, f, nil, nil)
		require.ErrorIs(t, err, test.is)
		require.ErrorIs(t, err, test.cause)
		e := (*invoke.Error)(nil)
		require.ErrorAs(t, err, &e)
		require.Equal(t, invoke.StartedNo, e.Started)
	}
	credits, err := c.Credits()
	require.NoError(t, err)
	require.Equal(t, invoke.Credits{Free: 16}, credits)
}

func TestGoBatch(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		const slots = 50 // more than are posted at once
		s := serve(t, url, invoke.WorkerConfig{Slots: slots, SlotBytes: 300, CallBytes: -1})
		c := s.dial(t, invoke.ClientConfig{Slots: slots, SlotBytes: 300})
		f := find(t, c, "echo")
		var inputs [][]byte
		for i := range slots + 3 {
			inputs = append(inputs, bytes.Repeat([]byte{byte(i)}, i))
		}
		futures := make([]invoke.Future, len(inputs))
		out := make([]byte, 300)
		collect := func(n int) {
			for i := range n {
				size, err := futures[i].Wait(soon(t), out)
				require.NoError(t, err)
				require.Equal(t, inputs[i], out[:size])
			}
		}
		for _, n := range []int{0, 1, 31, 32, 33, slots} {
			begun, err := c.GoBatch(soon(t), f, inputs[:n], futures)
			require.NoError(t, err)
			require.Equal(t, n, begun)
			collect(n)
		}
		begun, err := c.GoBatch(soon(t), f, inputs, futures)
		require.ErrorIs(t, err, invoke.ErrNoCredit)
		require.Equal(t, slots, begun, "as many as there were credits")
		collect(begun)
		inputs[3] = make([]byte, 301)
		begun, err = c.GoBatch(soon(t), f, inputs, futures)
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		require.Equal(t, 3, begun)
		collect(begun)
		_, err = c.GoBatch(soon(t), f, inputs, futures[:1])
		require.ErrorContains(t, err, "room for 1 futures of 53 calls")
	})
}
