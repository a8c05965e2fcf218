package alloc_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/invoke"
)

// Workers without calls are given back, and leased again when calls wait.
func TestIdleIsGivenBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, nil)
	p := newPool(t, newClient(t, s), alloc.Order{Workers: 3, Idle: 20 * time.Millisecond})
	const times = 3
	for range times {
		free(t, s, 3)
		pid(t, p)
	}
	free(t, s, 3)
	require.NoError(t, p.Close())
	u, _ := p.Usage()
	require.EqualValues(t, times, u[accounting.Invocations], "of all leases")
}

// A lease of which one worker is in use stays, and its other worker can be used again.
func TestIdlePartOfLease(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, nil)
	p := newPool(t, newClient(t, s), alloc.Order{Workers: 2, Idle: 200 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := must(p.Go(ctx, "nap", binary.LittleEndian.AppendUint64(nil, uint64(time.Hour)), invoke.CallOptions{Room: 8}))
	leases := s.Leases()
	require.Len(t, leases, 1)
	for range 3 {
		require.Eventually(t, func() bool { return p.Stats().Up == 1 && p.Stats().Lanes[0].Dials+p.Stats().Lanes[1].Dials > 1 }, patience, time.Millisecond)
		require.Equal(t, 0, s.Free().Cores)
		pid(t, p)
		again := s.Leases()
		require.Len(t, again, 1)
		require.Equal(t, leases[0].ID, again[0].ID)
	}
	cancel()
	_, err := f.Wait(soon(t))
	require.Error(t, err)
}

// Whenever workers are given back, no call is lost, and nothing stays leased.
func TestIdleAmongCalls(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, nil)
	p := newPool(t, newClient(t, s), alloc.Order{Workers: 3, Idle: 4 * time.Millisecond})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var callers sync.WaitGroup
	const callerCount, each = 4, 25
	for i := range callerCount {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		callers.Go(func() {
			for range each {
				time.Sleep(time.Duration(random.IntN(int(20 * time.Millisecond))))
				if _, err := p.Call(soon(t), "echo", []byte("x"), make([]byte, 1)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	require.Zero(t, p.Stats().Retries)
	free(t, s, 3)
	require.NoError(t, p.Close())
	u, _ := p.Usage()
	require.EqualValues(t, callerCount*each, u[accounting.Invocations])
}
