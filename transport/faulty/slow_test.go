package faulty_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/faulty"
)

// took waits for a completion and returns how long after begun it came.
func took(t *testing.T, e *pairtest.End, begun time.Time, spin time.Duration) time.Duration {
	ctx, cancel := context.WithTimeout(context.Background(), pairtest.Patience)
	defer cancel()
	var c [1]transport.Completion
	_, err := e.Queue.Wait(ctx, c[:], spin)
	elapsed := time.Since(begun)
	require.NoError(t, err)
	require.NoError(t, c[0].Err())
	return elapsed
}

// TestDelay: a message takes the delay, and an answer to one's own request twice as
// long, whether a program polls or sleeps.
func TestDelay(t *testing.T) {
	t.Parallel()
	const delay = time.Millisecond
	for name, spin := range map[string]time.Duration{"polling": transport.Hot, "asleep": transport.Warm} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pairtest.New(t, "faulty+loopback:?delay=1ms")
			local, remote := a.Alloc(8, transport.LocalOnly), b.Alloc(8, transport.RemoteAll)
			for range 10 { // ping-pong
				begun := time.Now()
				a.Recv(transport.Recv(1, transport.Span{}))
				b.Recv(transport.Recv(2, transport.Span{}))
				a.Post(transport.Send(3, transport.Span{}).With(transport.Signaled))
				require.GreaterOrEqual(t, took(t, b, begun, spin), delay)
				b.Post(transport.Send(4, transport.Span{}).With(transport.Signaled))
				require.GreaterOrEqual(t, took(t, a, begun, spin), 2*delay)
				// Their sends have to complete: the depth is bounded.
				require.GreaterOrEqual(t, took(t, a, begun, spin), 2*delay)
				require.GreaterOrEqual(t, took(t, b, begun, spin), 3*delay)
			}
			for _, wr := range []transport.WorkRequest{
				transport.Write(1, local.Span(0, 8), remote.Remote(0, 8)),
				transport.Read(2, local.Span(0, 8), remote.Remote(0, 8)),
				transport.FetchAdd(3, local.Span(0, 8), remote.Remote(0, 8), 1),
			} {
				begun := time.Now()
				a.Post(wr.With(transport.Signaled))
				require.GreaterOrEqual(t, took(t, a, begun, spin), 2*delay, wr.Op)
			}
			counts, _ := faulty.Injected(a.Dev.Adapter())
			require.EqualValues(t, 10+10+3, counts.Delayed)
		})
	}
}

// TestRate: bytes of own requests, and those of what they ask for, follow each other.
func TestRate(t *testing.T) {
	t.Parallel()
	const size = 50_000 // 4 ms
	a, b := pairtest.New(t, "faulty+loopback:?rate=100Mbit")
	local, remote := a.Alloc(size, transport.LocalOnly), b.Alloc(size, transport.RemoteAll)
	for _, wr := range []transport.WorkRequest{
		transport.Write(1, local.Span(0, size), remote.Remote(0, size)),
		transport.Read(1, local.Span(0, size), remote.Remote(0, size)),
	} {
		begun := time.Now()
		a.Post(wr, wr, wr.With(transport.Signaled))
		require.GreaterOrEqual(t, took(t, a, begun, transport.Warm), 12*time.Millisecond, wr.Op)
	}
	b.Recv(transport.Recv(1, remote.Span(0, size)), transport.Recv(2, remote.Span(0, size)))
	begun := time.Now()
	a.Post(transport.Send(1, local.Span(0, size)), transport.Send(2, local.Span(0, size)))
	require.GreaterOrEqual(t, took(t, b, begun, transport.Warm), 4*time.Millisecond)
	require.GreaterOrEqual(t, took(t, b, begun, transport.Warm), 8*time.Millisecond)
}

// TestDepthOfSlowRequests: requests whose completions are held back are outstanding.
func TestDepthOfSlowRequests(t *testing.T) {
	t.Parallel()
	a, b := pairtest.New(t, "faulty+loopback:?delay=1m")
	remote := b.Alloc(8, transport.RemoteWrite)
	silent := transport.Write(1, transport.Span{}, remote.Remote(0, 0))
	write := silent.With(transport.Signaled)
	for range 3 {
		n, err := a.Conn.Post(silent, silent, silent, write, silent, silent, silent, write, write)
		require.Equal(t, 8, n)
		require.Equal(t, transport.ErrQueueFull, err)
		a.Nothing() // which takes them from loopback
		n, err = a.Conn.Post(write)
		require.Zero(t, n)
		require.Equal(t, transport.ErrQueueFull, err)
		faulty.Advance(a.Dev.Adapter(), 3*time.Minute)
		a.Take(1)
		a.Post(silent, silent, silent, write)
		_, err = a.Conn.Post(write)
		require.Equal(t, transport.ErrQueueFull, err)
		a.Take(1)
		a.Nothing()
		faulty.Advance(a.Dev.Adapter(), 3*time.Minute)
		a.Take(1)
	}
}

// TestHeldBackIsNotDrained: a closed connection keeps its part of the queue until the
// program has its last completion, or the queue is closed.
func TestHeldBackIsNotDrained(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"poll", "close"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			a, b := pairtest.New(t, "faulty+loopback:?delay=1m")
			remote := b.Alloc(8, transport.RemoteWrite)
			a.Post(transport.Write(1, transport.Span{}, remote.Remote(0, 0)).With(transport.Signaled))
			a.Nothing()
			require.NoError(t, a.Conn.Close())
			a.Nothing()
			if by == "close" {
				require.NoError(t, a.Queue.Close())
				return // and the device has nothing open at the end of the test
			}
			cfg := a.Config()
			cfg.SendDepth = pairtest.QueueDepth - cfg.RecvDepth
			sa, sb := net.Pipe()
			_, _, err, _ := pairtest.SetUp(a, b, cfg, b.Config(), sa, sb)
			require.ErrorContains(t, err, "the completion queue is too small")
			faulty.Advance(a.Dev.Adapter(), 3*time.Minute)
			a.Take(1)
			pairtest.Connect(t, a, b, cfg, b.Config())
		})
	}
}

// TestSlowNetworkCannotBeWatched: and says so.
func TestSlowNetworkCannotBeWatched(t *testing.T) {
	t.Parallel()
	for query, watchable := range map[string]bool{"": true, "?hold=0.5": true, "?delay=1us": false, "?jitter=1us": false, "?rate=1Gbit": false} {
		dev, err := transport.Open("faulty+loopback:" + query)
		require.NoError(t, err)
		caps := dev.Capabilities()
		require.Equal(t, watchable, caps.Features.Has(transport.FeatureWatchMemory), query)
		require.Equal(t, !watchable, strings.Contains(strings.Join(caps.Notes, "\n"), "memory is written at once"), query)
		require.NoError(t, dev.Close())
	}
}

func TestNoAllocationsWhenSlow(t *testing.T) {
	a, b := pairtest.New(t, "faulty+loopback:?delay=1ns&jitter=1ns&rate=1Gbit")
	word := b.Alloc(8, transport.RemoteWrite)
	var cs [8]transport.Completion
	require.Zero(t, testing.AllocsPerRun(200, func() {
		b.Conn.PostRecv(transport.Recv(1, transport.Span{}), transport.Recv(2, transport.Span{}))
		a.Conn.Post(transport.WriteImm(1, transport.Span{}, word.Remote(0, 8), 5).With(transport.Signaled))
		a.Queue.Poll(cs[:])
		b.Queue.Poll(cs[:])
	}))
}
