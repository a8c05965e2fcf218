package client_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// TestCallersDriveLanes: who calls and waits drives a lane that has nothing to do, whose
// goroutine sleeps meanwhile, even in hot mode.
func TestCallersDriveLanes(t *testing.T) { // not parallel: it looks at all goroutines
	s := newSite(t, "loopback:")
	p := s.open(client.Config{Lanes: 1, Mode: invoke.Hot})
	call := func() {
		n, err := p.Call(soon(t), "echo", []byte("x"), make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	call()
	eventually(t, "the lane to sleep", func() bool { return strings.Contains(goroutines(), "(*lane).sleep") })
	s.register("look", func(context.Context, []byte, []byte) (int, error) {
		if !strings.Contains(goroutines(), "(*lane).carry") {
			return 0, context.Canceled
		}
		return 0, nil
	})
	_, err := p.Call(soon(t), "look", nil, nil)
	require.Error(t, err, "a function that the lane does not know is looked up by its goroutine")
	eventually(t, "the lane to sleep", func() bool { return strings.Contains(goroutines(), "(*lane).sleep") })
	_, err = p.Call(soon(t), "look", nil, nil)
	require.NoError(t, err)
	call()
	require.NoError(t, p.Close())
}

// goroutine is the number of the one that calls it, and stackOf what it does now.
func goroutine() string {
	text := make([]byte, 64)
	return strings.Fields(string(text[:runtime.Stack(text, false)]))[1]
}

func stackOf(goroutine string) string {
	_, stack, _ := strings.Cut(goroutines(), "goroutine "+goroutine+" ")
	stack, _, _ = strings.Cut(stack, "\n\n")
	return stack
}

func goroutines() string {
	text := make([]byte, 1<<20)
	return string(text[:runtime.Stack(text, true)])
}

// TestBorrowedLane: what takes long, or goes wrong, while a caller drives a lane is seen to as
// always.
func TestBorrowedLane(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		entered, release := s.gate("gate", invoke.Idempotent(true))
		p := s.open(client.Config{Lanes: 1, Mode: mode, BackoffMin: time.Millisecond})
		go func() { release <- struct{}{} }()
		_, err := p.Call(soon(t), "gate", nil, nil) // now the lane knows it
		require.NoError(t, err)
		receive(t, entered)

		// The call takes longer than its caller polls.
		done, id := make(chan error, 1), make(chan string, 4)
		call := func(ctx context.Context) {
			id <- goroutine()
			_, err := p.Call(ctx, "gate", nil, nil)
			done <- err
		}
		go call(soon(t))
		receive(t, entered)
		if caller := receive(t, id); mode != invoke.Hot { // which polls for ever
			eventually(t, "the caller to leave the lane", func() bool { return !strings.Contains(stackOf(caller), "(*lane).await") })
		}
		release <- struct{}{}
		require.NoError(t, receive(t, done))

		// The worker is lost: the call is made again by another one.
		go call(soon(t))
		receive(t, entered)
		s.dialed()[0].stream.Close()
		receive(t, entered)
		s.dialed()[0].end() // or its function could take what is meant for the other one
		release <- struct{}{}
		require.NoError(t, receive(t, done))

		// The caller gives up; then the lane is of use again.
		ctx, cancel := context.WithCancel(soon(t))
		go call(ctx)
		receive(t, entered)
		cancel()
		require.ErrorIs(t, receive(t, done), context.Canceled)
		_, err = p.Call(soon(t), "echo", nil, nil)
		require.NoError(t, err)

		// The client is closed.
		go call(soon(t))
		receive(t, entered)
		require.NoError(t, p.Close())
		require.ErrorIs(t, receive(t, done), client.ErrClosed)
	})
}

// TestBorrowersAndOthers: callers that drive lanes, those that queue, and futures share lanes,
// and each gets its own result.
func TestBorrowersAndOthers(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		p := s.open(client.Config{Lanes: 2, Mode: mode})
		var wait sync.WaitGroup
		var calls atomic.Int64
		for g := range 4 {
			wait.Go(func() {
				for i := range 200 {
					in, out := []byte{byte(g), byte(i)}, make([]byte, 2)
					if g == 3 {
						f, err := p.Go(soon(t), "echo", in)
						if err != nil {
							return
						}
						if out, err = f.Wait(soon(t)); err != nil {
							return
						}
					} else if _, err := p.Call(soon(t), "echo", in, out); err != nil {
						return
					}
					if string(in) != string(out) {
						return
					}
					calls.Add(1)
				}
			})
		}
		wait.Wait()
		require.EqualValues(t, 800, calls.Load())
		require.NoError(t, p.Close())
	})
}
