package invoke_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
)

// A caller that gives up ends the context of a function that runs: of one that waits for
// that, of one that looks now and then, and of one whose input came beyond the slots. The
// worker is free for the next call at once.
func TestCancelReachesTheFunction(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 2, SlotBytes: 4096})
		entered, ended := make(chan struct{}, 1), make(chan error, 1)
		waits := s.register(t, c, "waits", func(ctx context.Context, _, _ []byte) (int, error) {
			entered <- struct{}{}
			<-ctx.Done()
			ended <- ctx.Err()
			return 0, ctx.Err()
		})
		looks := s.register(t, c, "looks", func(ctx context.Context, _, _ []byte) (int, error) {
			entered <- struct{}{}
			for ctx.Err() == nil {
				time.Sleep(10 * time.Microsecond)
			}
			ended <- ctx.Err()
			return 0, ctx.Err()
		})
		for name, f := range map[string]*invoke.Handle{"waits": waits, "looks": looks} {
			for _, size := range []int{10, 100_000} {
				ctx, cancel := context.WithCancel(soon(t))
				go func() {
					<-entered
					cancel()
				}()
				_, err := c.Call(ctx, f, make([]byte, size), nil)
				require.ErrorIs(t, err, invoke.ErrCanceled, name)
				require.ErrorIs(t, receive(t, ended), context.Canceled, "%s, %d bytes", name, size)
				out := make([]byte, 4)
				n, err := c.Call(soon(t), find(t, c, "echo"), []byte("next"), out)
				require.NoError(t, err)
				require.Equal(t, "next", string(out[:n]))
			}
		}
		require.Eventually(t, func() bool {
			credits, err := c.Credits()
			require.NoError(t, err)
			return credits == invoke.Credits{Free: 2}
		}, patience, time.Millisecond, "nothing is left in quarantine")
	})
}

// A call that waits behind another one, and is given up, is not started.
func TestCancelBeforeTheFunction(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 2})
		gate, entered, release := s.gate(t, c)
		first, err := c.Go(soon(t), gate, nil)
		require.NoError(t, err)
		receive(t, entered)
		second, err := c.Go(soon(t), gate, nil)
		require.NoError(t, err)
		require.NoError(t, second.Abandon())
		release <- struct{}{}
		_, err = first.Wait(soon(t), nil)
		require.NoError(t, err, "it was not given up")
		out := make([]byte, 4)
		_, err = c.Call(soon(t), find(t, c, "echo"), []byte("next"), out)
		require.NoError(t, err)
		require.Empty(t, entered)
	})
}

// Who cares for functions that do not look at their context is told, once, and whether the call
// still runs.
func TestCanceledHook(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		told := make(chan func() bool, 10)
		s := serve(t, url, invoke.WorkerConfig{Canceled: func(running func() bool) { told <- running }})
		c := s.dial(t, invoke.ClientConfig{Slots: 4})
		gate, entered, release := s.gate(t, c)
		answered, err := c.Go(soon(t), find(t, c, "echo"), nil)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			ready, err := answered.Ready()
			require.NoError(t, err)
			return ready
		}, patience, time.Millisecond)
		stuck, err := c.Go(soon(t), gate, nil)
		require.NoError(t, err)
		receive(t, entered)
		waiting, err := c.Go(soon(t), gate, nil)
		require.NoError(t, err)
		require.NoError(t, answered.Abandon(), "which is over")
		require.NoError(t, waiting.Abandon(), "which has not begun")
		require.NoError(t, stuck.Abandon())
		running := receive(t, told)
		require.True(t, running())
		release <- struct{}{}
		_, err = c.Call(soon(t), find(t, c, "echo"), nil, nil)
		require.NoError(t, err)
		require.False(t, running())
		require.Empty(t, told)
	})
}

// Notices that make no sense give up nothing.
func TestNoticesOfNothing(t *testing.T) {
	t.Parallel()
	told := 0
	given := invoke.NewCancels(2, 7, func(func() bool) { told++ })
	notice := func(kind byte, slot uint32, id uint64) []byte {
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32([]byte{kind}, slot), id)
	}
	for _, msg := range [][]byte{nil, {1}, notice(2, 0, 7), notice(1, 2, 7), notice(1, 1<<31, 7), notice(1, 0, 8), append(notice(1, 0, 7), 0)} {
		given(msg)
		require.Zero(t, told, "%x", msg)
	}
	for range 3 {
		given(notice(1, 1, 7))
		require.Equal(t, 1, told)
	}
}

// A caller whose deadline passes gives up, too, perhaps before the worker's clock says so: the
// function learns of the deadline, and of nothing else.
func TestDeadlineIsTheReason(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		ended := make(chan error, 1)
		f := s.register(t, c, "waits", func(ctx context.Context, _, _ []byte) (int, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return 0, ctx.Err()
		})
		for range 100 {
			_, err := c.Call(within(t, 2*time.Millisecond), f, nil, nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			if e := (*invoke.Error)(nil); errors.As(err, &e) && e.Started == invoke.StartedNo {
				continue // it was not sent in time
			}
			select {
			case err := <-ended:
				require.ErrorIs(t, err, context.DeadlineExceeded)
			case <-time.After(10 * time.Millisecond): // it was not started in time
			}
		}
	})
}
