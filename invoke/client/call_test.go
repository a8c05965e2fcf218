package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// TestCalls: many goroutines at once, each gets its own result.
func TestCalls(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		for _, url := range []string{"loopback:", "shm:"} {
			p := newSite(t, url).open(client.Config{Lanes: 2, Mode: mode})
			var callers sync.WaitGroup
			for g := range 8 {
				callers.Go(func() {
					out := make([]byte, 100)
					for i := range 50 {
						in := fmt.Appendf(nil, "%d of %d", i, g)
						n, err := p.Call(soon(t), "echo", in, out)
						if err != nil || !bytes.Equal(in, out[:n]) {
							t.Errorf("%q: %q, %v", in, out[:n], err)
						}
					}
				})
			}
			callers.Wait()
			s := p.Stats()
			require.EqualValues(t, 400, s.Calls)
			require.Zero(t, s.Retries+s.Losses)
			require.NoError(t, p.Close())
		}
	})
}

func TestErrorsOfCalls(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	p := s.open(client.Config{})
	_, err := p.Call(soon(t), "fail", []byte("it"), nil)
	require.ErrorIs(t, err, invoke.ErrFunction)
	require.ErrorContains(t, err, `no luck with "it"`)
	require.ErrorContains(t, err, "lane 0")
	_, err = p.Call(soon(t), "missing", nil, nil)
	require.ErrorIs(t, err, invoke.ErrNotFound)
	for range 2 { // the second time the lane polls, perhaps
		_, err = p.Call(soon(t), "echo", []byte("long"), make([]byte, 3))
		require.ErrorIs(t, err, invoke.ErrTooLarge)
	}
	_, err = p.Call(soon(t), "echo", make([]byte, 1<<20), nil)
	require.ErrorIs(t, err, invoke.ErrTooLarge)
	ctx, cancel := context.WithCancel(soon(t))
	cancel()
	_, err = p.Call(ctx, "echo", nil, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, p.Stats().Retries, "an answer is an answer")
	require.NoError(t, p.Close())
	_, err = p.Call(soon(t), "echo", nil, nil)
	require.ErrorIs(t, err, client.ErrClosed)
}

// TestFanOut: calls of a function that takes long run on all workers at once,
// none waits behind another while a worker is free.
func TestFanOut(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		entered, release := s.gate("gate")
		p := s.open(client.Config{Lanes: 3, Mode: mode, Ahead: 1}) // whatever takes longer than 1 ns
		var futures []*client.Future
		for i := range 6 {
			f, err := p.Go(soon(t), "gate", []byte{'0' + byte(i)})
			require.NoError(t, err)
			futures = append(futures, f)
		}
		for range 3 {
			receive(t, entered)
		}
		require.Equal(t, 3, p.Stats().Waiting, "the rest waits for whoever is free first")
		for i := range 6 {
			release <- struct{}{}
			if i < 3 {
				receive(t, entered)
			}
		}
		for i, f := range futures {
			out, err := f.Wait(soon(t))
			require.NoError(t, err)
			require.Equal(t, string('0'+byte(i)), string(out))
		}
		for _, l := range p.Stats().Lanes {
			require.NotZero(t, l.Calls)
		}
	})
}

// TestPipelining: what is known to be quick is sent ahead, within bounds.
func TestPipelining(t *testing.T) {
	t.Parallel()
	for ahead, wait := range map[time.Duration]int{time.Hour: 3, 1: 6} { // 1 ns is less than anything takes
		s := newSite(t, "loopback:")
		entered, release := s.gate("gate")
		p := s.open(client.Config{Lanes: 1, Ahead: ahead, Depth: 4})
		go func() { release <- struct{}{} }()
		_, err := p.Call(soon(t), "gate", nil, nil) // now it is known how long it takes
		require.NoError(t, err)
		receive(t, entered)
		blocker, err := p.Go(soon(t), "gate", nil)
		require.NoError(t, err)
		receive(t, entered)
		var futures []*client.Future
		for range 6 {
			f, err := p.Go(soon(t), "gate", nil)
			require.NoError(t, err)
			futures = append(futures, f)
		}
		release <- struct{}{}
		_, err = blocker.Wait(soon(t))
		require.NoError(t, err)
		more, err := p.Go(soon(t), "gate", nil)
		require.NoError(t, err)
		futures = append(futures, more)
		receive(t, entered)
		eventually(t, "calls to be sent", func() bool { return p.Stats().Waiting <= wait })
		require.Equal(t, wait, p.Stats().Waiting, "no more than Depth, and Ahead")
		close(release)
		for _, f := range futures {
			_, err := f.Wait(soon(t))
			require.NoError(t, err)
		}
		require.NoError(t, p.Close())
	}
}

// TestCancel: a caller that gives up is free at once, whatever the worker does,
// and the worker is used again when it has answered.
func TestCancel(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		entered, release := make(chan struct{}, 10), make(chan struct{})
		s.register("stubborn", func(_ context.Context, _, out []byte) (int, error) {
			entered <- struct{}{}
			<-release
			for i := range out[:8] {
				out[i] = 'x'
			}
			return 8, nil
		})
		p := s.open(client.Config{Mode: mode})
		_, err := p.Call(soon(t), "echo", nil, nil) // known to be quick: not what keeps it from being sent
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(soon(t))
		out, failed := make([]byte, 8), make(chan error)
		go func() {
			_, err := p.Call(ctx, "stubborn", nil, out)
			failed <- err
		}()
		receive(t, entered)
		in := []byte("behind")
		queued, err := p.Go(soon(t), "echo", in)
		require.NoError(t, err)
		clear(in) // it was copied
		cancel()
		err = receive(t, failed)
		require.ErrorIs(t, err, context.Canceled)
		e, ok := errors.AsType[*invoke.Error](err)
		require.True(t, ok)
		require.Equal(t, invoke.StartedUnknown, e.Started)
		tried, _ := errors.AsType[*client.Error](err)
		require.Len(t, tried.Attempts, 1)

		waiting, err := p.Go(soon(t), "echo", nil)
		require.NoError(t, err)
		waiting.Cancel()
		_, err = waiting.Wait(soon(t))
		require.ErrorIs(t, err, context.Canceled)
		e, _ = errors.AsType[*invoke.Error](err)
		require.Equal(t, invoke.StartedNo, e.Started)

		stays(t, "the worker is not free", func() bool { return p.Stats().Waiting == 1 })
		close(release)
		result, err := queued.Wait(soon(t))
		require.NoError(t, err)
		require.Equal(t, "behind", string(result))
		require.Equal(t, make([]byte, 8), out, "the memory of a caller that is gone is not touched")
	})
}

// TestCancelEndsTheFunction: a worker whose function looks at its context is used on at
// once when its caller gives up.
func TestCancelEndsTheFunction(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		entered := make(chan struct{})
		s.register("attentive", func(ctx context.Context, _, _ []byte) (int, error) {
			entered <- struct{}{}
			<-ctx.Done()
			return 0, ctx.Err()
		})
		p := s.open(client.Config{Mode: mode, Overtime: time.Hour})
		for range 3 {
			ctx, cancel := context.WithCancel(soon(t))
			f, err := p.Go(ctx, "attentive", nil)
			require.NoError(t, err)
			receive(t, entered)
			cancel()
			_, err = f.Wait(soon(t))
			require.ErrorIs(t, err, context.Canceled)
			_, err = p.Call(soon(t), "once", nil, nil)
			require.NoError(t, err)
		}
		require.Len(t, s.dialed(), 1)
	})
}

// TestDeadlines: the error says what was waited for.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	entered, release := s.gate("gate")
	p := s.open(client.Config{})
	first, err := p.Go(soon(t), "gate", nil)
	require.NoError(t, err)
	receive(t, entered)
	ctx, cancel := context.WithTimeout(soon(t), 20*time.Millisecond)
	defer cancel()
	_, err = p.Call(ctx, "echo", nil, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
	require.ErrorContains(t, err, "no worker was free")
	close(release)
	_, err = first.Wait(soon(t))
	require.NoError(t, err)
}

// TestOvertime: a worker that goes on with a call that was given up is replaced.
func TestOvertime(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		entered, release := make(chan struct{}), make(chan struct{})
		s.register("endless", func(context.Context, []byte, []byte) (int, error) { close(entered); <-release; return 0, nil })
		defer close(release)
		p := s.open(client.Config{Mode: mode, Overtime: 5 * time.Millisecond})
		ctx, cancel := context.WithCancel(soon(t))
		f, err := p.Go(ctx, "endless", nil)
		require.NoError(t, err)
		receive(t, entered)
		cancel() // not a deadline, which may pass before the call is sent
		_, err = f.Wait(soon(t))
		require.ErrorIs(t, err, context.Canceled)
		_, err = p.Call(soon(t), "once", nil, nil)
		require.NoError(t, err)
		require.Len(t, s.dialed(), 2)
		require.EqualValues(t, 1, p.Stats().Losses)
		require.ErrorContains(t, p.Stats().Lanes[0].Err, "given up")
	})
}

// TestBackPressure: a full queue refuses or makes wait, as the caller likes.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	entered, release := s.gate("gate")
	p := s.open(client.Config{Queue: 2})
	var futures []*client.Future
	begin := func() {
		f, err := p.Go(soon(t), "gate", nil, invoke.CallOptions{NoWait: true})
		require.NoError(t, err)
		futures = append(futures, f)
	}
	begin()
	receive(t, entered)
	begin()
	begin()
	_, err := p.Go(soon(t), "gate", nil, invoke.CallOptions{NoWait: true})
	require.ErrorIs(t, err, client.ErrFull)
	ctx, cancel := context.WithTimeout(soon(t), 10*time.Millisecond)
	defer cancel()
	f, err := p.Go(ctx, "gate", nil)
	require.NoError(t, err)
	require.Error(t, ctx.Err(), "it waited for room until the end of its context")
	_, err = f.Wait(soon(t))
	require.ErrorIs(t, err, context.DeadlineExceeded)

	admitted := make(chan *client.Future)
	go func() {
		f, _ := p.Go(soon(t), "gate", nil)
		admitted <- f
	}()
	eventually(t, "it to wait", func() bool { return p.Stats().Waiting == 3 })
	release <- struct{}{}
	receive(t, entered)
	futures = append(futures, receive(t, admitted))
	_, err = p.Go(soon(t), "gate", nil, invoke.CallOptions{NoWait: true})
	require.ErrorIs(t, err, client.ErrFull)
	futures[1].Cancel() // in flight or not, its place is free soon
	futures[2].Cancel()
	close(release)
	for i, f := range futures {
		if _, err := f.Wait(soon(t)); i != 1 && i != 2 {
			require.NoError(t, err)
		}
	}
}

// TestClose: calls in all states end, and so do all goroutines.
func TestClose(t *testing.T) {
	for _, mode := range []invoke.Mode{invoke.Warm, invoke.DefaultMode, invoke.Hot} {
		s := newSite(t, "loopback:")
		entered, _ := s.gate("gate")
		p := s.open(client.Config{Lanes: 2, Mode: mode, Queue: 1})
		errs := make(chan error, 6)
		for range 6 {
			go func() {
				_, err := p.Call(soon(t), "gate", nil, nil)
				errs <- err
			}()
		}
		receive(t, entered)
		receive(t, entered)
		eventually(t, "the rest to wait", func() bool { return p.Stats().Waiting == 4 })
		require.NoError(t, p.Close())
		require.NoError(t, p.Close())
		require.Zero(t, p.Stats().Up)
		for range 6 {
			require.ErrorIs(t, receive(t, errs), client.ErrClosed)
		}
		for _, w := range s.dialed() {
			w.end()
		}
		eventually(t, "the goroutines to end", func() bool { return clientGoroutines() == 0 })
	}
}

// clientGoroutines counts the goroutines of clients. Not parallel: there must be no
// other client.
func clientGoroutines() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "invoke/client.(*")
}
