package client_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// countIdle makes the site's workers count how many were let go.
func countIdle(s *site) (dial func(ctx context.Context, lane int) (client.Worker, error), idle *atomic.Int64) {
	idle = new(atomic.Int64)
	return func(ctx context.Context, lane int) (client.Worker, error) {
		w, err := s.dial(ctx, lane)
		w.Idle = func() { idle.Add(1) }
		return w, err
	}, idle
}

// TestIdleWorkers: workers without calls are let go, and as many are dialed again as
// calls need.
func TestIdleWorkers(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		entered, release := s.gate("gate")
		dial, idle := countIdle(s)
		p := newClient(t, client.Config{Lanes: 3, Mode: mode, Idle: 20 * time.Millisecond, Dial: dial})
		eventually(t, "all to be let go", func() bool { return idle.Load() == 3 && p.Stats().Up == 0 })
		_, err := p.Call(soon(t), "echo", nil, nil)
		require.NoError(t, err)
		require.EqualValues(t, 4, s.dials.Load(), "one for one call")
		eventually(t, "that one to be let go", func() bool { return idle.Load() == 4 })
		var futures []*client.Future
		for range 3 {
			f, err := p.Go(soon(t), "gate", nil)
			require.NoError(t, err)
			futures = append(futures, f)
		}
		for range 3 {
			receive(t, entered)
		}
		require.EqualValues(t, 7, s.dials.Load())
		release <- struct{}{}
		release <- struct{}{}
		eventually(t, "the two without calls to be let go", func() bool { return idle.Load() == 6 })
		stays(t, "the one with a call remains", func() bool { return p.Stats().Up == 1 })
		release <- struct{}{}
		for _, f := range futures {
			_, err := f.Wait(soon(t))
			require.NoError(t, err)
		}
		eventually(t, "all to be let go", func() bool { return idle.Load() == 7 })
		require.Zero(t, p.Stats().Losses)
		require.Zero(t, p.Stats().Retries)
	})
}

// TestIdleWorkersAmongCalls: whenever workers are let go, no call fails or is made twice.
func TestIdleWorkersAmongCalls(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		dial, idle := countIdle(s)
		p := newClient(t, client.Config{Lanes: 3, Mode: mode, Idle: time.Millisecond, Dial: dial})
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		var callers sync.WaitGroup
		const callerCount, each = 5, 60
		for i := range callerCount {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			callers.Go(func() {
				for range each {
					time.Sleep(time.Duration(random.IntN(int(4 * time.Millisecond))))
					if _, err := p.Call(soon(t), "once", []byte("x"), make([]byte, 1)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		callers.Wait()
		require.EqualValues(t, callerCount*each, p.Stats().Calls)
		require.Zero(t, p.Stats().Retries)
		eventually(t, "all to be let go", func() bool { return p.Stats().Up == 0 && idle.Load() == s.dials.Load() })
		t.Logf("%d were let go", idle.Load())
	})
}

// TestIdleNever: without Config.Idle workers stay, and Close ends lanes that have none.
func TestIdleNever(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	dial, idle := countIdle(s)
	p := newClient(t, client.Config{Lanes: 2, Mode: invoke.Warm, Dial: dial})
	eventually(t, "the lanes to be up", func() bool { return p.Stats().Up == 2 })
	stays(t, "they are up", func() bool { return p.Stats().Up == 2 })
	require.NoError(t, p.Close())
	require.Zero(t, idle.Load())
	q := newClient(t, client.Config{Mode: invoke.Warm, Dial: dial, Idle: time.Millisecond})
	eventually(t, "it to be let go", func() bool { return idle.Load() == 1 })
	require.NoError(t, q.Close())
	_, err := client.New(client.Config{Dial: dial, Idle: -1})
	require.ErrorContains(t, err, "Config.Idle is negative")
}
