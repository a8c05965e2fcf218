package client_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// TestBusyLaneTakesMore: a lane whose worker is busy, and which sleeps, sends a
// call as soon as it comes, if it is known to be quick.
func TestBusyLaneTakesMore(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		entered, release := s.gate("gate")
		p := s.open(client.Config{Mode: mode, Ahead: time.Hour})
		go func() { release <- struct{}{} }()
		_, err := p.Call(soon(t), "gate", nil, nil) // now it is known how long it takes
		require.NoError(t, err)
		receive(t, entered)
		var futures []*client.Future
		for range 5 {
			f, err := p.Go(soon(t), "gate", nil)
			require.NoError(t, err)
			futures = append(futures, f)
			eventually(t, "the call to be sent", func() bool { return p.Stats().Waiting == 0 })
		}
		require.EqualValues(t, 1, p.Stats().Calls, "nothing was answered meanwhile")
		receive(t, entered)
		close(release)
		for _, f := range futures {
			_, err := f.Wait(soon(t))
			require.NoError(t, err)
		}
	})
}

// TestIdleLaneFirst: a call goes to a worker without calls, not behind another.
func TestIdleLaneFirst(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		entered, release := s.gate("gate")
		p := s.open(client.Config{Lanes: 2, Mode: mode, Ahead: time.Hour})
		for range 10 {
			var futures []*client.Future
			for range 2 {
				f, err := p.Go(soon(t), "gate", nil)
				require.NoError(t, err)
				futures = append(futures, f)
				receive(t, entered)
			}
			time.Sleep(100 * time.Microsecond) // that is how long the function takes
			for range 2 {
				release <- struct{}{}
			}
			for _, f := range futures {
				_, err := f.Wait(soon(t))
				require.NoError(t, err)
			}
		}
	})
}

// TestPoison: a call that has lost a worker is not sent to one that has others,
// nor are others sent there.
func TestPoison(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		gate, open := s.gate("gate")
		poison, cure := s.gate("poison", invoke.Idempotent(true))
		allowed := make(chan struct{}, 1) // to dial lane 0
		p := newClient(t, client.Config{Lanes: 2, Mode: mode, Depth: 2, Ahead: time.Hour, Dial: func(ctx context.Context, lane int) (client.Worker, error) {
			if lane == 0 {
				select {
				case <-allowed:
				case <-ctx.Done():
					return client.Worker{}, ctx.Err()
				}
			}
			return s.dial(ctx, lane)
		}})
		begin := func(function string) *client.Future {
			f, err := p.Go(soon(t), function, nil)
			require.NoError(t, err)
			return f
		}
		done := func(f *client.Future) {
			_, err := f.Wait(soon(t))
			require.NoError(t, err)
		}
		waiting := func() bool { return p.Stats().Waiting == 1 }
		// Lane 1 gets to know both functions, and that they are worth to be waited for.
		f := begin("poison")
		receive(t, poison)
		cure <- struct{}{}
		done(f)
		f = begin("gate")
		receive(t, gate)
		time.Sleep(time.Millisecond)
		open <- struct{}{}
		done(f)

		// Lane 1 is full until lane 0 has the call: one that has just got a worker does
		// not look at the queue yet, and lane 1 would take it.
		first, other := begin("gate"), begin("gate")
		receive(t, gate)
		eventually(t, "lane 1 to be full", func() bool { return p.Stats().Waiting == 0 })
		allowed <- struct{}{}
		poisonous := begin("poison")
		receive(t, poison)
		open <- struct{}{}
		done(first)
		receive(t, gate)
		for _, w := range s.dialed() {
			if w.lane == 0 {
				w.stream.Close()
			}
		}
		eventually(t, "the call to be free again", func() bool { return p.Stats().Losses == 1 && waiting() })
		for _, w := range s.dialed() {
			if w.lane == 0 {
				w.end() // otherwise its call may still be there, and take the cure
			}
		}
		stays(t, "it is not sent to a worker with another call", waiting)
		open <- struct{}{}
		done(other)
		receive(t, poison)
		neighbour := begin("gate")
		stays(t, "nothing is sent beside it", waiting)
		cure <- struct{}{}
		done(poisonous)
		receive(t, gate)
		open <- struct{}{}
		done(neighbour)
		require.EqualValues(t, 1, p.Stats().Retries)
	})
}

// TestAnsweredBeforeTheLoss: what a worker answers before its end counts.
func TestAnsweredBeforeTheLoss(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		s.register("last", func(_ context.Context, in, out []byte) (int, error) {
			workers := s.dialed()
			workers[len(workers)-1].worker.Close() // after the answer
			return copy(out, in), nil
		})
		p := s.open(client.Config{Mode: mode, BackoffMin: time.Millisecond})
		out := make([]byte, 5)
		for i := range 20 {
			clear(out)
			_, err := p.Call(soon(t), "last", []byte("words"), out)
			require.NoError(t, err)
			require.Equal(t, "words", string(out))
			eventually(t, "the next worker", func() bool { return p.Stats().Losses == uint64(i+1) && p.Stats().Up == 1 })
		}
	})
}

// TestLookUpHoldsNobodyUp: a worker that does not answer a look-up keeps the call
// that it is for, and no other.
func TestLookUpHoldsNobodyUp(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		entered, release := s.gate("gate")
		p := s.open(client.Config{Lanes: 2, Mode: mode})
		var strangers sync.WaitGroup
		for _, w := range s.dialed() { // each keeps a worker busy
			c, err := invoke.Dial(soon(t), s.dev, "unix", w.address, invoke.ClientConfig{})
			require.NoError(t, err)
			f, err := c.Function(soon(t), "gate")
			require.NoError(t, err)
			strangers.Go(func() {
				_, err := c.Call(soon(t), f, nil, nil)
				if err := errors.Join(err, c.Close()); err != nil {
					t.Error(err)
				}
			})
			receive(t, entered)
		}
		var futures []*client.Future
		for range 2 {
			f, err := p.Go(soon(t), "echo", nil)
			require.NoError(t, err)
			futures = append(futures, f)
			eventually(t, "a lane to take it", func() bool { return p.Stats().Waiting == 0 })
		}
		close(release)
		for _, f := range futures {
			_, err := f.Wait(soon(t))
			require.NoError(t, err)
		}
		strangers.Wait()
	})
}

// TestLargeResults: inputs and results that are longer than a slot.
func TestLargeResults(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		s.client.SlotBytes = 1024
		s.register("all", func(_ context.Context, in, out []byte) (int, error) { copy(out, in); return len(in), nil })
		p := s.open(client.Config{Lanes: 2, Mode: mode})
		in := bytes.Repeat([]byte("large"), 100<<10/5)
		out := make([]byte, len(in))
		n, err := p.Call(soon(t), "all", in, out)
		require.NoError(t, err)
		require.True(t, bytes.Equal(in, out[:n]))
		f, err := p.Go(soon(t), "all", in, invoke.CallOptions{Room: len(in)})
		require.NoError(t, err)
		result, err := f.Wait(soon(t))
		require.NoError(t, err)
		require.True(t, bytes.Equal(in, result))
		f, err = p.Go(soon(t), "all", in)
		require.NoError(t, err)
		_, err = f.Wait(soon(t))
		require.ErrorIs(t, err, invoke.ErrTooLarge, "nobody made room")
		inputs := func(yield func([]byte) bool) {
			for i := range 20 {
				if !yield(in[:len(in)-i*1000]) {
					return
				}
			}
		}
		sum := 0
		for r, err := range client.Map(soon(t), p, "all", inputs, client.MapOptions{Room: len(in)}) {
			require.NoError(t, err)
			require.True(t, bytes.Equal(in[:len(in)-r.Index*1000], r.Output))
			sum++
		}
		require.Equal(t, 20, sum)
	})
}

// TestChurn: calls of all kinds, many of them given up at any moment; whatever is
// sleeping then, nothing is forgotten.
func TestChurn(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		for _, url := range []string{"loopback:", "shm:"} {
			s := newSite(t, url)
			s.register("50us", func(context.Context, []byte, []byte) (int, error) {
				for begin := time.Now(); time.Since(begin) < 50*time.Microsecond; {
				}
				return 0, nil
			})
			p := s.open(client.Config{Lanes: 3, Mode: mode, Depth: 4})
			var callers sync.WaitGroup
			for g := range uint64(6) {
				callers.Go(func() {
					random := rand.New(rand.NewPCG(1, g))
					in, out := []byte{byte(g)}, make([]byte, 1)
					for range 100 {
						ctx, cancel := soon(t), context.CancelFunc(func() {})
						if random.IntN(4) == 0 {
							ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(200))*time.Microsecond)
						}
						function := []string{"echo", "once", "50us"}[random.IntN(3)]
						out[0] = 0xff
						n, err := p.Call(ctx, function, in, out)
						switch {
						case err == nil && n == 1 && out[0] != in[0]:
							t.Errorf("%s: %v instead of %v", function, out, in)
						case err != nil && !errors.Is(err, context.DeadlineExceeded):
							t.Error(err)
						}
						cancel()
					}
				})
			}
			callers.Wait()
			require.Zero(t, p.Stats().Waiting)
			require.Zero(t, p.Stats().Losses)
			require.NoError(t, p.Close())
		}
	})
}

// TestSpread: calls of functions that take as long at each worker are spread evenly.
func TestSpread(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"shm:", "softroce:"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, url)
			s.register("wait", func(context.Context, []byte, []byte) (int, error) {
				time.Sleep(time.Millisecond) // the work
				return 0, nil
			})
			p := s.open(client.Config{Lanes: 2})
			const callers, calls = 50, 20
			var running sync.WaitGroup
			for range callers {
				running.Go(func() {
					for range calls {
						_, err := p.Call(soon(t), "wait", nil, nil)
						assert.NoError(t, err)
					}
				})
			}
			running.Wait()
			lanes := p.Stats().Lanes
			require.EqualValues(t, callers*calls, lanes[0].Calls+lanes[1].Calls)
			t.Logf("%d and %d calls", lanes[0].Calls, lanes[1].Calls)
			require.InEpsilon(t, lanes[0].Calls, lanes[1].Calls, 0.3) // a busy machine lets some sleep longer
		})
	}
}
