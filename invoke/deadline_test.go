package invoke_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
)

// TestLateReply: a call that is abandoned while it runs keeps its slot, and its
// reply, when it comes, is delivered to nobody.
func TestLateReply(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 2})
		f, entered, release := s.gate(t, c)
		echo := find(t, c, "echo")

		_, err := c.Call(within(t, 20*time.Millisecond), f, []byte("late"), make([]byte, 4))
		require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		e := (*invoke.Error)(nil)
		require.ErrorAs(t, err, &e)
		require.Equal(t, invoke.StartedUnknown, e.Started)
		receive(t, entered)

		// One slot is left, and its calls wait behind the one that is stuck.
		credits, err := c.Credits()
		require.NoError(t, err)
		require.Equal(t, invoke.Credits{Free: 1, Quarantined: 1}, credits)
		next, err := c.Go(soon(t), echo, []byte("next"))
		require.NoError(t, err)
		_, err = c.Go(soon(t), echo, nil, invoke.CallOptions{NoWait: true})
		require.ErrorIs(t, err, invoke.ErrNoCredit, "a slot in quarantine is no credit")
		_, err = c.Go(within(t, 20*time.Millisecond), echo, nil)
		require.ErrorIs(t, err, invoke.ErrDeadlineExceeded, "Go waits for the quarantine to end")
		require.ErrorAs(t, err, &e)
		require.Equal(t, invoke.StartedNo, e.Started)

		release <- struct{}{}
		third, err := c.Go(soon(t), echo, []byte("third")) // in the slot that was in quarantine
		require.NoError(t, err)
		out := make([]byte, 10)
		n, err := third.Wait(soon(t), out)
		require.NoError(t, err)
		require.Equal(t, "third", string(out[:n]))
		n, err = next.Wait(soon(t), out)
		require.NoError(t, err)
		require.Equal(t, "next", string(out[:n]))
		credits, err = c.Credits()
		require.NoError(t, err)
		require.Equal(t, invoke.Credits{Free: 2}, credits)
	})
}

// TestTimeout: the sooner of a call's timeout and its context's deadline travels.
func TestTimeout(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		left := s.register(t, c, "left", func(ctx context.Context, _, out []byte) (int, error) {
			deadline, limited := ctx.Deadline()
			if !limited {
				return 0, nil
			}
			binary.LittleEndian.PutUint64(out, uint64(time.Until(deadline)))
			return 8, nil
		})
		unlimited := context.Background()
		limited, cancel := context.WithTimeout(unlimited, time.Hour)
		defer cancel()
		b, err := c.NewBuffer(0, 8)
		require.NoError(t, err)
		for _, test := range []struct {
			ctx     context.Context
			timeout time.Duration
			most    time.Duration // left; 0 for no limit
		}{
			{unlimited, 0, 0}, {unlimited, time.Minute, time.Minute}, {limited, 0, time.Hour}, {limited, time.Minute, time.Minute}, {limited, 2 * time.Hour, time.Hour},
		} {
			o := invoke.CallOptions{Timeout: test.timeout}
			future, err := c.Go(test.ctx, left, nil, o)
			require.NoError(t, err)
			direct, err := future.Take(soon(t))
			require.NoError(t, err)
			require.NoError(t, b.Go(test.ctx, left, 0, o))
			inPlace, err := b.Wait(soon(t))
			require.NoError(t, err)
			for _, result := range [][]byte{direct, inPlace} {
				if test.most == 0 {
					require.Empty(t, result)
					continue
				}
				require.Len(t, result, 8)
				d := time.Duration(binary.LittleEndian.Uint64(result))
				require.Greater(t, d, test.most/2)
				require.LessOrEqual(t, d, test.most)
			}
		}
		_, err = c.Go(unlimited, left, nil, invoke.CallOptions{Timeout: -1})
		require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
	})
}

// TestAbandonedCallIsNotStarted: while the worker is busy, calls are given up;
// it never executes them, but those of another client in slots with the same
// numbers.
func TestAbandonedCallIsNotStarted(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		blocking, c, other := s.dial(t, invoke.ClientConfig{}), s.dial(t, invoke.ClientConfig{}), s.dial(t, invoke.ClientConfig{})
		f, entered, release := s.gate(t, blocking)
		never := s.register(t, c, "never", s.never(t))
		var executed atomic.Int64
		count := s.register(t, other, "count", func(context.Context, []byte, []byte) (int, error) {
			executed.Add(1)
			return 0, nil
		})

		blocker, err := blocking.Go(soon(t), f, nil)
		require.NoError(t, err)
		receive(t, entered)
		canceled, cancel := context.WithCancel(context.Background())
		var dropped, counted []invoke.Future
		for range 5 {
			future, err := c.Go(canceled, never, nil)
			require.NoError(t, err)
			dropped = append(dropped, future)
			future, err = other.Go(soon(t), count, nil)
			require.NoError(t, err)
			counted = append(counted, future)
		}
		cancel()
		for _, future := range dropped {
			_, err = future.Wait(canceled, nil)
			require.ErrorIs(t, err, invoke.ErrCanceled)
		}
		sent := uint64(len(dropped))
		_, err = c.Call(within(t, 20*time.Millisecond), never, nil, nil)
		require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
		e := (*invoke.Error)(nil)
		require.ErrorAs(t, err, &e)
		if e.Started != invoke.StartedNo { // it was sent before it was too late
			sent++
		}
		release <- struct{}{}
		_, err = blocker.Wait(soon(t), nil)
		require.NoError(t, err)
		for _, future := range counted {
			_, err := future.Wait(soon(t), nil)
			require.NoError(t, err)
		}
		require.EqualValues(t, 5, executed.Load())
		eventually(t, "all credits", func() bool {
			credits, err := c.Credits()
			require.NoError(t, err)
			return credits.Free == c.Slots()
		})
		eventually(t, "the refusals to be counted", func() bool { return s.worker.Stats().Refused == sent })
	})
}

// TestDeadlineAtTheWorker: a call that the worker notices in time but cannot
// start in time is not started, although nobody has given it up.
func TestDeadlineAtTheWorker(t *testing.T) {
	t.Parallel()
	s := serve(t, "loopback:", invoke.WorkerConfig{})
	c := s.dial(t, invoke.ClientConfig{})
	f, entered, release := s.gate(t, c)
	never := s.register(t, c, "never", s.never(t))
	// The worker is kept busy, and then notices two requests at once.
	first, err := c.Go(soon(t), f, nil)
	require.NoError(t, err)
	receive(t, entered)
	second, err := c.Go(soon(t), f, nil)
	require.NoError(t, err)
	third, err := c.Go(within(t, 30*time.Millisecond), never, nil)
	require.NoError(t, err)
	release <- struct{}{}
	receive(t, entered) // the second runs, the third was noticed
	time.Sleep(40 * time.Millisecond)
	release <- struct{}{}
	_, err = third.Wait(soon(t), nil)
	require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
	require.ErrorContains(t, err, "before the call was started")
	e := (*invoke.Error)(nil)
	require.ErrorAs(t, err, &e)
	require.Equal(t, invoke.StartedNo, e.Started)
	for _, future := range []invoke.Future{first, second} {
		_, err := future.Wait(soon(t), nil)
		require.NoError(t, err)
	}
}

// TestManyAbandonedCalls mixes calls that are abandoned with calls that are not,
// for long enough that a credit or a receive lost now and then would show.
func TestManyAbandonedCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 4})
		f := find(t, c, "echo")
		ctx := soon(t)
		out := make([]byte, 16)
		for i := range 5000 {
			future, err := c.Go(ctx, f, fmt.Append(nil, "dropped", i))
			require.NoError(t, err)
			require.NoError(t, future.Abandon())
			in := fmt.Append(nil, "kept", i)
			n, err := c.Call(ctx, f, in, out)
			require.NoError(t, err)
			require.Equal(t, string(in), string(out[:n]))
		}
		eventually(t, "all credits", func() bool {
			credits, err := c.Credits()
			require.NoError(t, err)
			return credits == invoke.Credits{Free: 4}
		})
	})
}
