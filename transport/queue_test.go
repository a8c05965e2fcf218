package transport_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

func TestQueueDepth(t *testing.T) {
	t.Parallel()
	e := pairtest.NewEnd(t, "loopback:")
	for _, depth := range []int{0, -1, 1<<22 + 1} {
		_, err := e.Dev.NewQueue(depth)
		require.ErrorIs(t, err, transport.ErrOutOfRange)
		require.ErrorContains(t, err, "depth must be 1 to 4194304")
	}
	q, err := e.Dev.NewQueue(1)
	require.NoError(t, err)
	require.Equal(t, 1, q.Depth())
}

// TestReservation: connections and shared receive queues take their depths out
// of their queue's, and give them back when they are closed and drained.
func TestReservation(t *testing.T) {
	t.Parallel()
	a, b := pairtest.NewEnd(t, "loopback:"), pairtest.NewEnd(t, "loopback:")
	var err error
	a.Queue, err = a.Dev.NewQueue(20)
	require.NoError(t, err)
	a.Conn, _ = pairtest.Connect(t, a, b, a.Config(), b.Config()) // 8 and 8
	a.Recv(transport.Recv(1, transport.Span{}))
	_, err = a.PD.NewSharedReceive(a.Queue, 5)
	require.ErrorIs(t, err, transport.ErrOutOfRange)
	require.ErrorContains(t, err, "the completion queue is too small: depth 20, 16 reserved by its connections, 5 more needed (send depth plus receive depth)")
	shared, err := a.PD.NewSharedReceive(a.Queue, 4)
	require.NoError(t, err)
	require.NoError(t, shared.Close())

	require.NoError(t, a.Conn.Close())
	_, err = a.PD.NewSharedReceive(a.Queue, 20)
	require.ErrorIs(t, err, transport.ErrOutOfRange, "the receive was flushed, but not polled")
	require.Equal(t, transport.StatusFlushed, a.Take(1)[0].Status)
	shared, err = a.PD.NewSharedReceive(a.Queue, 20)
	require.NoError(t, err)
	require.NoError(t, shared.Close())
}

// TestSharedReceiveReservation: the completion queue has its entries back when the
// shared queue is closed and the completions of its receives were polled.
func TestSharedReceiveReservation(t *testing.T) {
	t.Parallel()
	server := pairtest.NewEnd(t, "loopback:")
	var err error
	server.Queue, err = server.Dev.NewQueue(8 + 4)
	require.NoError(t, err)
	shared, err := server.PD.NewSharedReceive(server.Queue, 4)
	require.NoError(t, err)
	client, cfg := pairtest.NewEnd(t, "loopback:"), server.Config()
	cfg.Shared = shared
	var inner *transport.Conn
	client.Conn, inner = pairtest.Connect(t, client, server, client.Config(), cfg)
	_, err = server.PD.NewSharedReceive(server.Queue, 1)
	require.ErrorIs(t, err, transport.ErrOutOfRange)

	_, err = shared.PostRecv(transport.Recv(1, transport.Span{}))
	require.NoError(t, err)
	client.Post(transport.Send(1, transport.Span{}))
	require.NoError(t, inner.Close())
	require.NoError(t, shared.Close())
	_, err = server.PD.NewSharedReceive(server.Queue, 1)
	require.ErrorIs(t, err, transport.ErrOutOfRange, "a completion is not polled yet")
	server.Take(1)
	again, err := server.PD.NewSharedReceive(server.Queue, 12)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

// TestTwoQueues: a connection that does not get its share of one queue leaves
// the other as it was.
func TestTwoQueues(t *testing.T) {
	t.Parallel()
	a, b := pairtest.NewEnd(t, "loopback:"), pairtest.NewEnd(t, "loopback:")
	small, err := a.Dev.NewQueue(7)
	require.NoError(t, err)
	exact, err := a.Dev.NewQueue(8)
	require.NoError(t, err)
	cfg := a.Config()
	cfg.SendQueue, cfg.RecvQueue = exact, small
	_, err = a.Dev.Connect(t.Context(), closedStream(), cfg)
	require.ErrorIs(t, err, transport.ErrOutOfRange)
	cfg.RecvDepth = 7
	pairtest.Connect(t, a, b, cfg, b.Config())
}

func TestClosedSharedReceiveIsRefused(t *testing.T) {
	t.Parallel()
	e := pairtest.NewEnd(t, "loopback:")
	shared, err := e.PD.NewSharedReceive(e.Queue, 4)
	require.NoError(t, err)
	require.NoError(t, shared.Close())
	cfg := e.Config()
	cfg.Shared = shared
	_, err = e.Dev.Connect(t.Context(), closedStream(), cfg)
	require.ErrorIs(t, err, transport.ErrClosed)
}

// TestWait: hot, warm and in between, with and without something to wait for.
func TestWait(t *testing.T) {
	t.Parallel()
	for name, spin := range map[string]time.Duration{"hot": transport.Hot, "warm": transport.Warm, "adaptive": 50 * time.Microsecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pairtest.New(t, "loopback:")
			type result struct {
				n   int
				err error
			}
			waited := make(chan result)
			wait := func(ctx context.Context, room int) {
				n, err := b.Queue.Wait(ctx, make([]transport.Completion, room), spin)
				waited <- result{n, err}
			}
			b.Recv(transport.Recv(1, transport.Span{}), transport.Recv(2, transport.Span{}))
			go wait(t.Context(), 2)
			a.Post(transport.Send(1, transport.Span{}))
			require.Equal(t, result{1, nil}, <-waited)

			_, err := b.Queue.Wait(t.Context(), nil, spin)
			require.ErrorIs(t, err, transport.ErrInvalid)

			ctx, cancel := context.WithCancel(t.Context())
			go wait(ctx, 1)
			cancel()
			require.ErrorIs(t, (<-waited).err, context.Canceled)
			a.Post(transport.Send(1, transport.Span{})) // the receive is still there
			require.Len(t, b.Take(1), 1)

			go wait(t.Context(), 1)
			require.NoError(t, b.Queue.Close())
			require.ErrorIs(t, (<-waited).err, transport.ErrClosed)
		})
	}
}

// TestOnlyOneWaits: a second sleeper is refused while the first one sleeps.
func TestOnlyOneWaits(t *testing.T) {
	t.Parallel()
	_, b := pairtest.New(t, "loopback:")
	errs := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := b.Queue.Wait(context.Background(), make([]transport.Completion, 1), transport.Warm)
			errs <- err
		}()
	}
	require.Equal(t, transport.ErrConcurrentUse, <-errs)
	require.NoError(t, b.Queue.Close())
	require.ErrorIs(t, <-errs, transport.ErrClosed)
}

// TestWaitSolicited: once asleep, only a solicited message or a failure wakes.
func TestWaitSolicited(t *testing.T) {
	t.Parallel()
	a, b := pairtest.New(t, "loopback:")
	b.Recv(transport.Recv(1, transport.Span{}), transport.Recv(2, transport.Span{}))
	got := make(chan int, 1)
	go func() {
		n, _ := b.Queue.WaitSolicited(context.Background(), make([]transport.Completion, 2), transport.Warm)
		got <- n
	}()
	a.Post(transport.Send(1, transport.Span{}), transport.Send(2, transport.Span{}).With(transport.Solicited))
	require.GreaterOrEqual(t, <-got, 1)
}
