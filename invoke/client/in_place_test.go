package client_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// echoing is a call in place with an input, and where its result goes.
func echoing(in []byte, out *[]byte) client.InPlace {
	return client.InPlace{
		InputBytes: len(in), ResultBytes: len(in),
		Fill: func(to []byte) (int, error) { return copy(to, in), nil },
		Take: func(result []byte) error { *out = bytes.Clone(result); return nil },
	}
}

// Small and large ones from many goroutines, among calls that copy.
func TestInPlace(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "shm:")
		p := s.open(client.Config{Lanes: 2, Mode: mode})
		var callers sync.WaitGroup
		for caller := range 8 {
			callers.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(caller)))
				for range 20 {
					in := make([]byte, random.IntN(300<<10))
					for i := range in {
						in[i] = byte(random.Uint32())
					}
					var out []byte
					r, err := p.CallInPlace(soon(t), "echo", echoing(in, &out))
					if !assert.NoError(t, err) || !assert.True(t, bytes.Equal(in, out)) {
						return
					}
					assert.Empty(t, r.Failed)
					assert.GreaterOrEqual(t, r.Lane, 0)
					assert.Greater(t, r.Elapsed, r.Timing.Execution)
					small := make([]byte, 100)
					n, err := p.Call(soon(t), "echo", []byte("small"), small)
					assert.NoError(t, err)
					assert.Equal(t, "small", string(small[:n]))
				}
			})
		}
		callers.Wait()
		require.EqualValues(t, 2*8*20, p.Stats().Calls)
	})
}

// Calls of one size use the same memory, also after some were given up or failed.
func TestInPlaceMemory(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	s.client.SlotBytes = 1000
	entered, _ := s.gate("gate") // it ends with its context
	p := s.open(client.Config{})
	in, out := make([]byte, 10000), []byte(nil)
	call := func() {
		_, err := p.CallInPlace(soon(t), "echo", echoing(in, &out))
		require.NoError(t, err)
	}
	call()
	before := len(s.dev.Inventory())
	for range 20 {
		call()
		io := echoing(in, &out)
		io.Fill = func([]byte) (int, error) { return 0, errors.New("not today") }
		_, err := p.CallInPlace(soon(t), "echo", io)
		require.ErrorContains(t, err, "not today")
		_, err = p.CallInPlace(soon(t), "fail", echoing(in, &out))
		require.ErrorIs(t, err, invoke.ErrFunction)
		ctx, cancel := context.WithCancel(soon(t))
		go func() { receive(t, entered); cancel() }()
		_, err = p.CallInPlace(ctx, "gate", echoing(in, &out))
		require.ErrorIs(t, err, context.Canceled)
	}
	call()
	require.LessOrEqual(t, len(s.dev.Inventory()), before+1) // a result's may be on its way back when the next call begins
}

// A result that its caller still has takes a place of its lane: memory for calls in
// place is bounded by Config.Depth.
func TestInPlaceTakesItsPlace(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		p := s.open(client.Config{Mode: mode, Depth: 1})
		taking, proceed, done := make(chan struct{}), make(chan struct{}), make(chan error, 2)
		first := echoing([]byte("first"), new([]byte))
		first.Take = func([]byte) error { close(taking); <-proceed; return nil }
		go func() { _, err := p.CallInPlace(soon(t), "echo", first); done <- err }()
		receive(t, taking)
		var filled atomic.Bool
		second := echoing([]byte("second"), new([]byte))
		second.Fill = func([]byte) (int, error) { filled.Store(true); return 6, nil }
		go func() { _, err := p.CallInPlace(soon(t), "echo", second); done <- err }()
		eventually(t, "the second call to wait", func() bool { return p.Stats().Waiting == 1 || filled.Load() })
		stays(t, "it has no memory yet", func() bool { return !filled.Load() })
		close(proceed)
		require.NoError(t, receive(t, done))
		require.NoError(t, receive(t, done))
		require.True(t, filled.Load())
	})
}

// What callers do wrong ends their call, and no other one.
func TestInPlaceFailures(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		p := s.open(client.Config{Mode: mode})
		var out []byte
		works := func() {
			t.Helper()
			_, err := p.CallInPlace(soon(t), "echo", echoing([]byte("fine"), &out))
			require.NoError(t, err)
			require.Equal(t, "fine", string(out))
		}
		works()
		refused := errors.New("no such file")
		io := echoing(nil, &out)
		io.Fill = func([]byte) (int, error) { return 0, refused }
		_, err := p.CallInPlace(soon(t), "echo", io)
		require.ErrorIs(t, err, refused)
		works()

		io = echoing([]byte("x"), &out)
		io.Take = func([]byte) error { return refused }
		_, err = p.CallInPlace(soon(t), "echo", io)
		require.Equal(t, refused, err)
		works()

		io = echoing([]byte("x"), &out)
		io.Fill = func(in []byte) (int, error) { return len(in) + 1, nil }
		_, err = p.CallInPlace(soon(t), "echo", io)
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		works()

		io = echoing([]byte("x"), &out)
		io.Fill = func([]byte) (int, error) { panic("at the disco") }
		require.PanicsWithValue(t, "at the disco", func() { p.CallInPlace(soon(t), "echo", io) })
		io = echoing([]byte("x"), &out)
		io.Take = func([]byte) error { panic("at the disco") }
		require.PanicsWithValue(t, "at the disco", func() { p.CallInPlace(soon(t), "echo", io) })
		works()

		_, err = p.CallInPlace(soon(t), "fail", echoing([]byte("this"), &out))
		require.ErrorContains(t, err, `no luck with "this"`)
		_, err = p.CallInPlace(soon(t), "nowhere", echoing(nil, &out))
		require.ErrorIs(t, err, invoke.ErrNotFound)
		io = echoing(nil, &out)
		io.InputBytes = 3 << 30
		_, err = p.CallInPlace(soon(t), "echo", io)
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		works()
	})
}

// A call is given up before it is sent, while its input is filled, and while it is
// executed.
func TestInPlaceGivenUp(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		entered, release := s.gate("gate")
		p := s.open(client.Config{Mode: mode, Depth: 2})
		var out []byte
		ctx, cancel := context.WithCancel(soon(t))
		io := echoing([]byte("x"), &out)
		io.Fill = func([]byte) (int, error) { cancel(); return 1, nil }
		_, err := p.CallInPlace(ctx, "echo", io)
		require.ErrorIs(t, err, context.Canceled)
		_, err = p.CallInPlace(ctx, "echo", io)
		require.ErrorIs(t, err, context.Canceled)

		ctx, cancel = context.WithCancel(soon(t))
		given := make(chan error)
		go func() {
			_, err := p.CallInPlace(ctx, "gate", echoing([]byte("abandoned"), &out))
			given <- err
		}()
		require.Equal(t, "abandoned", receive(t, entered))
		cancel()
		require.ErrorIs(t, receive(t, given), context.Canceled)
		go func() {
			_, err := p.CallInPlace(soon(t), "gate", echoing([]byte("next"), &out))
			given <- err
		}()
		release <- struct{}{}
		require.Equal(t, "next", receive(t, entered))
		release <- struct{}{}
		require.NoError(t, receive(t, given))
		require.Equal(t, "next", string(out))
	})
}

// The worker is lost while the input is filled, into memory that stays, and while
// the call is executed: it is made again where that is allowed.
func TestInPlaceLosses(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		entered, release := s.gate("gate", invoke.Idempotent(true))
		p := s.open(client.Config{Mode: mode, BackoffMin: time.Millisecond})
		kill := func() {
			workers := s.dialed()
			last := workers[len(workers)-1]
			last.stream.Close()
		}
		in, out := bytes.Repeat([]byte("large "), 50000), []byte(nil)
		fills := 0
		io := echoing(in, &out)
		io.Fill = func(to []byte) (int, error) {
			if fills++; fills == 1 {
				dials := s.dials.Load()
				kill()
				eventually(t, "another worker", func() bool { return s.dials.Load() > dials })
			}
			return copy(to, in), nil
		}
		r, err := p.CallInPlace(soon(t), "once", io)
		require.NoError(t, err)
		require.Equal(t, in, out)
		require.Equal(t, 2, fills)
		require.Len(t, r.Failed, 1)
		require.ErrorIs(t, r.Failed[0].Err, invoke.ErrWorkerGone)

		done := make(chan error)
		var again client.Result
		fills = 1
		go func() {
			var err error
			again, err = p.CallInPlace(soon(t), "gate", io)
			done <- err
		}()
		receive(t, entered)
		kill()
		receive(t, entered)
		close(release)
		require.NoError(t, receive(t, done))
		require.Equal(t, in, out)
		require.Equal(t, 3, fills)
		require.Len(t, again.Failed, 1)
	})
}

// The client is closed, and then the device, while callers have memory of it.
func TestInPlaceClosed(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		p := s.open(client.Config{Lanes: 2, Mode: mode})
		lent, proceed := make(chan struct{}), make(chan struct{})
		in, out := bytes.Repeat([]byte("large "), 50000), []byte(nil)
		wait := func() { lent <- struct{}{}; <-proceed }
		filling, taking := echoing(in, new([]byte)), echoing(in, &out)
		filling.Fill = func(to []byte) (int, error) { wait(); return copy(to, in), nil }
		take := taking.Take
		taking.Take = func(result []byte) error { wait(); return take(result) }
		filled, taken := make(chan error, 1), make(chan error, 1)
		go func() { _, err := p.CallInPlace(soon(t), "echo", filling); filled <- err }()
		go func() { _, err := p.CallInPlace(soon(t), "echo", taking); taken <- err }()
		receive(t, lent)
		receive(t, lent)
		require.NoError(t, p.Close())
		close(proceed)
		require.ErrorIs(t, receive(t, filled), client.ErrClosed)
		require.NoError(t, receive(t, taken))
		require.Equal(t, in, out)
	})
}

// An attempt has its own time: the worker answers that it is over, or is given up
// soon after.
func TestInPlaceTimeout(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	s.gate("obedient")
	release := make(chan struct{})
	defer close(release)
	s.register("stubborn", func(context.Context, []byte, []byte) (int, error) { <-release; return 0, nil })
	p := s.open(client.Config{Overtime: time.Nanosecond, BackoffMin: time.Millisecond})
	var out []byte
	limit := invoke.CallOptions{Timeout: time.Millisecond}
	started := func(f string) invoke.Started {
		_, err := p.CallInPlace(soon(t), f, echoing(nil, &out), limit)
		require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
		e, ok := errors.AsType[*invoke.Error](err)
		require.True(t, ok)
		return e.Started
	}
	for range 10 { // unless it was too late when the worker saw it
		if started("obedient") == invoke.StartedYes {
			break
		}
	}
	require.Equal(t, invoke.StartedUnknown, started("stubborn"))
	_, err := p.CallInPlace(soon(t), "echo", echoing([]byte("x"), &out))
	require.NoError(t, err, "by another worker")
}

// TestInPlaceAtRandom: workers are lost and calls given up at any moment; whoever
// gets a result gets theirs.
func TestInPlaceAtRandom(t *testing.T) {
	t.Parallel()
	s := newSite(t, "shm:")
	p := s.open(client.Config{Lanes: 2, BackoffMin: time.Millisecond, Attempts: 10})
	var callers sync.WaitGroup
	var succeeded atomic.Int64
	ended := make(chan struct{})
	for caller := range 6 {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(caller)))
			for range 60 {
				in := bytes.Repeat([]byte{byte(random.Uint32())}, random.IntN(200<<10))
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				if random.IntN(4) == 0 {
					time.AfterFunc(time.Duration(random.IntN(300))*time.Microsecond, cancel)
				}
				var out []byte
				_, err := p.CallInPlace(ctx, "echo", echoing(in, &out))
				if err == nil {
					succeeded.Add(1)
					assert.True(t, bytes.Equal(in, out))
				} else if ctx.Err() != context.Canceled {
					assert.ErrorIs(t, err, invoke.ErrWorkerGone)
				}
				cancel()
			}
		})
	}
	go func() { callers.Wait(); close(ended) }()
	for losses := 0; ; losses++ {
		select {
		case <-ended:
			require.NotZero(t, succeeded.Load())
			t.Logf("%d calls succeeded, %d workers were lost", succeeded.Load(), p.Stats().Losses)
			return
		case <-time.After(5 * time.Millisecond):
			if workers := s.dialed(); losses < 30 {
				workers[len(workers)-1].stream.Close()
			}
		}
	}
}
