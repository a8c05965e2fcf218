package softroce_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport"
)

// patient is an engine whose retransmission timer would be noticed.
const patient = "softroce:?min-timeout=1s"

// requireUndisturbed checks that no timer fired: whoever was to answer did.
func requireUndisturbed(t *testing.T, ends ...*pairtest.End) {
	t.Helper()
	for _, e := range ends {
		c := e.Dev.Adapter().(*softroce.Adapter).Counters()
		require.Zero(t, c["timeouts"], "counters: %v", c)
	}
}

// A target that never polls is served all the same.
func TestPassiveTarget(t *testing.T) {
	t.Parallel()
	x, y := pairtest.New(t, patient)
	const size = 300_000
	local, remote := x.Alloc(size, transport.LocalOnly), y.Alloc(size, transport.RemoteAll)
	for i := range local.Bytes() {
		local.Bytes()[i] = byte(i % 251)
	}
	for round := range 20 {
		x.Post(transport.Write(1, local.Span(0, size), remote.Remote(0, size)).With(transport.Signaled))
		if round%2 == 0 {
			time.Sleep(2 * time.Millisecond) // and so is one that posts and stays away
		}
		require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
		require.Equal(t, local.Bytes(), remote.Bytes())
		clear(remote.Bytes())
		x.Post(transport.FetchAdd(2, local.Span(0, 8), remote.Remote(0, 8), 1).With(transport.Signaled))
		require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
		clear(remote.Bytes())
	}
	requireUndisturbed(t, x, y)
}

// Both programs poll for a while, stay away for a while, sleep for a while, at
// random, under load: nothing is lost in the change-overs, and nobody waits for
// a timer.
func TestChangeOverUnderLoad(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	x, y := pairtest.New(t, patient)
	rounds := 3000
	if testing.Short() {
		rounds = 500
	}
	var both sync.WaitGroup
	for i, e := range []*pairtest.End{x, y} {
		both.Go(func() { wander(e, rounds, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	both.Wait()
	requireUndisturbed(t, x, y)
}

// wander sends and receives messages, and drives, sleeps or stays away meanwhile.
func wander(e *pairtest.End, rounds int, r *rand.Rand) {
	region := e.Alloc(4096, transport.LocalOnly)
	var completions [16]transport.Completion
	for range 8 {
		e.Recv(transport.Recv(1, region.Span(0, 4096)))
	}
	sent, received, outstanding := 0, 0, 0
	deadline := time.Now().Add(pairtest.Patience)
	for (received < rounds || sent < rounds || outstanding > 0) && !e.T.Failed() {
		if time.Now().After(deadline) {
			e.T.Errorf("%d sent, %d outstanding, %d received of %d", sent, outstanding, received, rounds)
			return
		}
		for outstanding < 4 && sent < rounds {
			if _, err := e.Conn.Post(transport.Send(2, region.Span(0, 1+r.IntN(4096))).With(transport.Signaled)); err != nil {
				e.T.Error(err)
				return
			}
			sent++
			outstanding++
		}
		n, err := 0, error(nil)
		switch r.IntN(40) {
		case 0:
			time.Sleep(time.Duration(r.IntN(4)) * time.Millisecond)
		case 1:
			if e.Conn.Err() == nil {
				n, err = e.Queue.Wait(e.T.Context(), completions[:], transport.Warm)
			}
		default:
			n, err = e.Queue.Poll(completions[:])
		}
		if err != nil {
			e.T.Error(err)
			return
		}
		for _, c := range completions[:n] {
			if c.Status != transport.StatusOK {
				e.T.Errorf("%+v: %v", c, e.Conn.Err())
				return
			}
			if c.ID == 2 {
				outstanding--
				continue
			}
			received++
			if _, err := e.Conn.PostRecv(transport.Recv(1, region.Span(0, 4096))); err != nil {
				e.T.Error(err)
				return
			}
		}
	}
}
