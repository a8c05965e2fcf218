package invoke_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// TestAwait: whichever call is answered ends the sleep, once.
func TestAwait(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		for _, mode := range []invoke.Mode{invoke.Warm, invoke.DefaultMode, invoke.Hot} {
			s := serve(t, url, invoke.WorkerConfig{})
			c := s.dial(t, invoke.ClientConfig{Slots: 4, Mode: mode})
			f, entered, release := s.gate(t, c)
			ended, end := context.WithCancel(context.Background())
			end()
			polled := func() bool {
				answered, err := c.Poll()
				require.NoError(t, err)
				return answered
			}
			require.True(t, polled(), "the look-up")
			require.False(t, polled())
			futures := make([]invoke.Future, 3)
			for i := range futures {
				var err error
				futures[i], err = c.Go(soon(t), f, []byte{'0' + byte(i)})
				require.NoError(t, err)
			}
			receive(t, entered)
			require.False(t, polled())
			require.Equal(t, context.Canceled, c.Await(ended))
			for i, future := range futures { // answered in this order
				ready, err := futures[2].Ready()
				require.NoError(t, err)
				require.False(t, ready)
				release <- struct{}{}
				require.NoError(t, c.Await(soon(t)))
				ready, err = future.Ready()
				require.NoError(t, err)
				require.True(t, ready)
				if i < 2 {
					receive(t, entered)
				}
				require.False(t, polled(), "it was told")
			}
			require.Equal(t, context.Canceled, c.Await(ended), "not of what it has told before")
			out := make([]byte, 1)
			for i, future := range futures {
				_, err := future.Wait(soon(t), out)
				require.NoError(t, err)
				require.Equal(t, '0'+byte(i), out[0])
			}
			require.Equal(t, context.Canceled, c.Await(ended))

			abandoned, err := c.Go(soon(t), f, nil)
			require.NoError(t, err)
			receive(t, entered)
			require.NoError(t, abandoned.Abandon())
			release <- struct{}{}
			require.NoError(t, c.Await(soon(t)), "a credit comes back")
			credits, err := c.Credits()
			require.NoError(t, err)
			require.Equal(t, invoke.Credits{Free: 4}, credits)
		}
	})
}

// TestAwaitIsInterrupted: a sleep ends with its context, again and again, and
// nothing is lost by that.
func TestAwaitIsInterrupted(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Mode: invoke.Warm})
		f, entered, release := s.gate(t, c)
		future, err := c.Go(soon(t), f, []byte("x"))
		require.NoError(t, err)
		receive(t, entered)
		require.NoError(t, c.Await(soon(t)), "the look-up")
		for range 100 {
			ctx, cancel := context.WithCancel(context.Background())
			go cancel()
			require.Equal(t, context.Canceled, c.Await(ctx))
			credits, err := c.Credits()
			require.NoError(t, err)
			require.Equal(t, invoke.Credits{Free: 15, InFlight: 1}, credits)
		}
		close(release)
		for ready := false; !ready; {
			require.NoError(t, c.Await(soon(t)))
			ready, err = future.Ready()
			require.NoError(t, err)
		}
		out, err := future.Take(soon(t))
		require.NoError(t, err)
		require.Equal(t, "x", string(out))
	})
}

// TestAwaitLoss: the loss of the worker ends the sleep; what was answered before
// can be collected after.
func TestAwaitLoss(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Mode: invoke.Warm})
		f, entered, release := s.gate(t, c)
		first, err := c.Go(soon(t), f, []byte("in time"))
		require.NoError(t, err)
		second, err := c.Go(soon(t), f, nil)
		require.NoError(t, err)
		receive(t, entered)
		release <- struct{}{}
		receive(t, entered) // so that the first is answered
		eventually(t, "the first reply", func() bool {
			ready, err := first.Ready()
			require.NoError(t, err)
			return ready
		})
		_, err = c.Poll()
		require.NoError(t, err)
		lost := make(chan error)
		go func() { lost <- c.Await(soon(t)) }()
		require.NoError(t, s.worker.Close())
		go close(release)
		for err = receive(t, lost); err == nil; { // the second may have been answered
			err = c.Await(soon(t))
		}
		require.ErrorIs(t, err, invoke.ErrWorkerGone)
		require.ErrorIs(t, c.Await(soon(t)), invoke.ErrWorkerGone, "it does not sleep any more")
		_, err = c.Poll()
		require.ErrorIs(t, err, invoke.ErrWorkerGone)
		for _, future := range []invoke.Future{first, second} {
			ready, err := future.Ready()
			require.NoError(t, err)
			require.True(t, ready)
		}
		out, err := first.Take(soon(t))
		require.NoError(t, err)
		require.Equal(t, "in time", string(out))
	})
}

// TestTake: results of all lengths, in slices of their own.
func TestTake(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 2})
		echo, fail := find(t, c, "echo"), find(t, c, "fail")
		for _, n := range []int{0, 1, c.SlotBytes(), c.SlotBytes() + 1, 300 << 10} {
			in := pattern(n, 1)
			var results [][]byte
			for range 2 {
				future, err := c.Go(soon(t), echo, in, invoke.CallOptions{Room: n})
				require.NoError(t, err)
				out, err := future.Take(soon(t))
				require.NoError(t, err)
				results = append(results, out)
				timing, ok := c.Timing()
				require.True(t, ok && timing.Execution > 0)
				_, err = future.Take(soon(t))
				require.ErrorIs(t, err, invoke.ErrCollected)
			}
			for _, out := range results {
				require.NotNil(t, out)
				require.True(t, bytes.Equal(in, out))
			}
		}
		future, err := c.Go(soon(t), fail, []byte("it"))
		require.NoError(t, err)
		_, err = future.Take(soon(t))
		require.ErrorIs(t, err, invoke.ErrFunction)
		ended, end := context.WithCancel(context.Background())
		end()
		f, entered, release := s.gate(t, c)
		future, err = c.Go(soon(t), f, nil)
		require.NoError(t, err)
		receive(t, entered)
		_, err = future.Take(ended)
		require.ErrorIs(t, err, invoke.ErrCanceled)
		close(release)
		eventually(t, "all credits", func() bool {
			credits, err := c.Credits()
			require.NoError(t, err)
			return credits == invoke.Credits{Free: 2}
		})
	})
}

// TestClosedClient: who closes a client is told so, and whether the call may have
// been executed; nobody speaks of a worker that is gone.
func TestClosedClient(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		f, entered, release := s.gate(t, c)
		defer close(release)
		future, err := c.Go(soon(t), f, nil)
		require.NoError(t, err)
		waited, err := c.Go(soon(t), f, nil)
		require.NoError(t, err)
		b, err := c.NewBuffer(1, 1)
		require.NoError(t, err)
		require.NoError(t, b.Go(soon(t), f, 1))
		receive(t, entered)
		failed := make(chan error)
		go func() {
			_, err := waited.Wait(soon(t), nil)
			failed <- err
		}()
		eventually(t, "the other goroutine to wait", func() bool {
			_, err := future.Ready()
			return err != nil
		})
		require.NoError(t, c.Close())
		for what, test := range map[string]struct {
			err     error
			started invoke.Started
		}{
			"wait under way": {receive(t, failed), invoke.StartedUnknown},
			"wait":           {second(future.Wait(soon(t), nil)), invoke.StartedUnknown},
			"take":           {second(future.Take(soon(t))), invoke.StartedUnknown},
			"ready":          {second(future.Ready()), invoke.StartedUnknown},
			"abandon":        {future.Abandon(), invoke.StartedUnknown},
			"buffer wait":    {second(b.Wait(soon(t))), invoke.StartedUnknown},
			"buffer abandon": {b.Abandon(), invoke.StartedUnknown},
			"await":          {c.Await(soon(t)), invoke.StartedUnknown},
			"poll":           {second(c.Poll()), invoke.StartedUnknown},
			"call":           {second(c.Call(soon(t), f, nil, nil)), invoke.StartedNo},
			"go":             {second(c.Go(soon(t), f, nil)), invoke.StartedNo},
			"buffer go":      {b.Go(soon(t), f, 1), invoke.StartedNo},
			"credits":        {second(c.Credits()), invoke.StartedNo},
		} {
			require.ErrorIs(t, test.err, invoke.ErrClosed, what)
			require.ErrorIs(t, test.err, invoke.ErrWorkerGone, what)
			require.ErrorIs(t, test.err, transport.ErrClosed, what)
			gone := (*invoke.GoneError)(nil)
			require.ErrorAs(t, test.err, &gone, what)
			require.Equal(t, test.started, gone.Started, what)
			require.ErrorContains(t, test.err, "was closed", what)
			require.NotContains(t, test.err.Error(), "gone", what)
		}
	})
}

func second[T any](_ T, err error) error { return err }
