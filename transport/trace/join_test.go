package trace_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/trace"
)

// letters is an Exchanger by channels.
type letters struct {
	to   chan<- []byte
	from <-chan []byte
	ctx  context.Context
}

func (l letters) Exchange(msg []byte, _ []int) ([]byte, []int, error) {
	l.to <- slices.Clone(msg)
	select {
	case answer := <-l.from:
		return answer, nil, nil
	case <-l.ctx.Done():
		return nil, nil, l.ctx.Err()
	}
}

func (l letters) PassesFDs() bool { return false }

// TestJoin: decorators do with connections without a stream what they do with
// others.
func TestJoin(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"trace+loopback:", "trace+faulty+loopback:?seed=3&queue-full=0.3&hold=0.3"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			a, b := pairtest.NewEnd(t, url), pairtest.NewEnd(t, url)
			ab, ba := make(chan []byte, 1), make(chan []byte, 1)
			var errB error
			joined := make(chan struct{})
			go func() {
				defer close(joined)
				b.Conn, errB = b.Dev.Join(context.Background(), letters{ba, ab, t.Context()}, b.Config())
			}()
			var errA error
			a.Conn, errA = a.Dev.Join(t.Context(), letters{ab, ba, t.Context()}, a.Config())
			<-joined
			require.NoError(t, errA)
			require.NoError(t, errB)

			from, to := a.Alloc(8, transport.LocalOnly), b.Alloc(8, transport.LocalOnly)
			copy(from.Bytes(), "decorate")
			const count = 50
			for id := range uint64(count) {
				b.Recv(transport.Recv(id, to.Span(0, 8)))
				for { // faulty has no room sometimes
					n, err := a.Conn.Post(transport.Send(id, from.Span(0, 8)).With(transport.Signaled))
					if n == 1 {
						break
					}
					require.ErrorIs(t, err, transport.ErrQueueFull)
				}
				require.Equal(t, []uint64{id}, pairtest.IDs(a.Take(1)))
				require.Equal(t, []uint64{id}, pairtest.IDs(b.Take(1)))
			}
			require.Equal(t, "decorate", string(to.Bytes()))
			require.Len(t, trace.Of(a.Dev.Adapter()).Records(), 2*count, "sends and their completions")
			require.NoError(t, a.Conn.Close())
			require.ErrorIs(t, a.Ended(), transport.ErrClosed)
			require.NoError(t, b.Conn.Err(), "the peer is not told")
		})
	}
}

// TestJoinWithoutStream: faults that need the stream are refused.
func TestJoinWithoutStream(t *testing.T) {
	t.Parallel()
	a := pairtest.NewEnd(t, "trace+faulty+loopback:?disconnect=0.5")
	_, err := a.Dev.Join(t.Context(), letters{make(chan []byte, 1), nil, t.Context()}, a.Config())
	require.ErrorIs(t, err, transport.ErrNotSupported)
	require.ErrorContains(t, err, "disconnect")
	require.Len(t, a.Dev.Inventory(), 2, "no connection is left")
}
