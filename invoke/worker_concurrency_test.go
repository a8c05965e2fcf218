package invoke_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/transcript"
	"github.com/rfaas-go/rfaas/invoke"
)

// As many functions run at once as the worker is configured for, of all clients; others
// wait, and the loop answers whoever is done.
func TestConcurrency(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{Concurrency: 3})
		one, two := s.dial(t, invoke.ClientConfig{}), s.dial(t, invoke.ClientConfig{})
		entered, release := make(chan byte, 10), [5]chan struct{}{}
		for i := range release {
			release[i] = make(chan struct{})
		}
		require.NoError(t, s.registry.Register("waits", func(_ context.Context, in, out []byte) (int, error) {
			entered <- in[0]
			<-release[in[0]]
			return copy(out, in), nil
		}))
		var calls []invoke.Future
		for i := range release {
			c := []*invoke.Client{one, two}[i%2]
			f, err := c.Go(soon(t), find(t, c, "waits"), []byte{byte(i)}) // look-ups are answered all the while
			require.NoError(t, err)
			calls = append(calls, f)
			if i < 3 {
				require.EqualValues(t, i, receive(t, entered))
			}
		}
		for _, i := range []int{1, 0, 2, 3, 4} {
			require.LessOrEqual(t, len(entered), 2)
			close(release[i])
			out := make([]byte, 1)
			_, err := calls[i].Wait(soon(t), out)
			require.NoError(t, err)
			require.EqualValues(t, i, out[0])
		}
		require.ElementsMatch(t, []byte{3, 4}, []byte{receive(t, entered), receive(t, entered)})
	})
}

// Each of several calls has a context, and a fate, of its own.
func TestConcurrentFates(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{Concurrency: 8})
		c := s.dial(t, invoke.ClientConfig{})
		entered, release := make(chan struct{}, 8), make(chan struct{})
		waits := s.register(t, c, "waits", func(ctx context.Context, in, out []byte) (int, error) {
			entered <- struct{}{}
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-release:
				return copy(out, in), nil
			}
		})
		panics := s.register(t, c, "panics", func(context.Context, []byte, []byte) (int, error) { panic("over the top") })
		leaves := s.register(t, c, "leaves", func(context.Context, []byte, []byte) (int, error) { runtime.Goexit(); return 0, nil })
		stays, err := c.Go(soon(t), waits, []byte("x"))
		require.NoError(t, err)
		receive(t, entered)
		_, err = c.Call(within(t, 10*time.Millisecond), waits, nil, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		givenUp, err := c.Go(soon(t), waits, nil)
		require.NoError(t, err)
		require.NoError(t, givenUp.Abandon())
		_, err = c.Call(soon(t), panics, nil, nil)
		require.ErrorIs(t, err, invoke.ErrCrashed)
		require.ErrorContains(t, err, "panic: over the top, at worker_concurrency_test.go:")
		_, err = c.Call(soon(t), leaves, nil, nil)
		require.ErrorIs(t, err, invoke.ErrCrashed)
		require.ErrorContains(t, err, "ended its goroutine")
		eventually(t, "the others to have ended", func() bool {
			credits, err := c.Credits()
			require.NoError(t, err)
			return credits.InFlight == 1 && credits.Quarantined == 0
		})
		close(release)
		out := make([]byte, 1)
		_, err = stays.Wait(soon(t), out)
		require.NoError(t, err)
		require.Equal(t, "x", string(out))
	})
}

// A worker that is shut down, or closed, or loses its client, waits for all functions that
// run, and starts none that waits.
func TestConcurrentEnds(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		for _, how := range []string{"shutdown", "close", "client"} {
			var log transcript.Transcript
			s := serve(t, url, invoke.WorkerConfig{Concurrency: 2, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			c := s.dial(t, invoke.ClientConfig{})
			entered, release, ending := make(chan struct{}, 8), make(chan struct{}), make(chan struct{})
			var running atomic.Int32
			waits := s.register(t, c, "waits", func(ctx context.Context, in, _ []byte) (int, error) {
				running.Add(1)
				defer running.Add(-1)
				entered <- struct{}{}
				if how == "shutdown" {
					<-release
				} else {
					<-ctx.Done()
					<-ending
				}
				return int(in[0]), nil // still there
			})
			var calls []invoke.Future
			for _, size := range []int{1, 100_000, 1} {
				f, err := c.Go(soon(t), waits, make([]byte, size))
				require.NoError(t, err)
				calls = append(calls, f)
			}
			receive(t, entered)
			receive(t, entered)
			switch how {
			case "shutdown":
				done := make(chan error)
				go func() { done <- s.worker.Shutdown(soon(t)) }()
				receive(t, c.Draining())
				close(release)
				ok := 0
				for _, f := range calls {
					if _, err := f.Wait(soon(t), nil); err == nil {
						ok++
					} else {
						require.ErrorIs(t, err, invoke.ErrRevoked)
					}
				}
				require.Equal(t, 2, ok)
				require.NoError(t, receive(t, done))
			case "close":
				require.NoError(t, s.worker.Close())
				close(ending)
			case "client":
				require.NoError(t, c.Close())
				eventually(t, "the worker to notice", func() bool { return strings.Contains(log.String(), "client gone") })
				close(ending)
				eventually(t, "the functions to end", func() bool { return running.Load() == 0 })
				require.NoError(t, s.worker.Close())
			}
			s.ended(t)
			require.Zero(t, running.Load())
			require.Empty(t, entered, "what waited was not started")
		}
	})
}

// Calls of all sizes from several clients, of which some give up: each answer is its call's.
func TestConcurrentCallsAtRandom(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{Concurrency: 4, SlotBytes: 4096})
		require.NoError(t, s.registry.Register("naps", func(ctx context.Context, in, out []byte) (int, error) {
			select {
			case <-time.After(time.Duration(len(in)%7) * 100 * time.Microsecond):
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			return copy(out, in), nil
		}))
		var clients sync.WaitGroup
		failed := make(chan error, 4)
		for n := range 4 {
			c := s.dial(t, invoke.ClientConfig{Slots: 8, SlotBytes: 4096})
			f := find(t, c, "naps")
			random := rand.New(rand.NewPCG(uint64(n), 1))
			clients.Go(func() {
				var calls []invoke.Future
				var inputs [][]byte
				for round := range 200 {
					size := []int{1, 100, 4096, 5000, 100_000}[random.IntN(5)]
					in := bytes.Repeat([]byte{byte(round)}, size)
					call, err := c.Go(context.Background(), f, in, invoke.CallOptions{Room: size})
					if err != nil {
						failed <- err
						return
					}
					calls, inputs = append(calls, call), append(inputs, in)
					if len(calls) < 5 {
						continue
					}
					i := random.IntN(len(calls))
					if random.IntN(4) == 0 {
						err = calls[i].Abandon()
					} else if out, waitErr := calls[i].Take(context.Background()); waitErr != nil {
						err = waitErr
					} else if !bytes.Equal(out, inputs[i]) {
						err = fmt.Errorf("%d bytes came for %d of %d", len(out), len(inputs[i]), inputs[i][0])
					}
					if err != nil {
						failed <- err
						return
					}
					calls[i], inputs[i] = calls[len(calls)-1], inputs[len(calls)-1]
					calls, inputs = calls[:len(calls)-1], inputs[:len(calls)-1]
				}
			})
		}
		clients.Wait()
		close(failed)
		for err := range failed {
			require.NoError(t, err)
		}
	})
}
