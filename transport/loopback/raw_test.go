package loopback_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/loopback"
)

// rawEnd is a queue pair used as the front does, without the front.
type rawEnd struct {
	cq      transport.CQ
	qp      transport.QP
	drained atomic.Int32
	failed  atomic.Int32
}

func (e *rawEnd) isDrained() bool { return e.drained.Load() == 1 }

// rawPair makes a connected pair; b has two receives posted.
func rawPair(t *testing.T) (a, b *rawEnd) {
	a, b = newRawEnd(t), newRawEnd(t)
	toA, toB := make(chan []byte, 1), make(chan []byte, 1)
	connected := make(chan error, 1)
	go func() { connected <- b.qp.Connect(t.Context(), channels{toB, toA}) }()
	require.NoError(t, errors.Join(a.qp.Connect(t.Context(), channels{toA, toB}), <-connected))
	n, err := b.qp.PostRecv([]transport.WorkRequest{transport.Recv(1, transport.Span{}), transport.Recv(2, transport.Span{})})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	return a, b
}

func newRawEnd(t *testing.T) *rawEnd {
	e, adapter := &rawEnd{}, loopback.New()
	pd, err := adapter.NewPD()
	require.NoError(t, err)
	e.cq, err = adapter.NewCQ(transport.CQConfig{Depth: 8})
	require.NoError(t, err)
	e.qp, err = adapter.NewQP(transport.QPConfig{
		PD: pd, SendCQ: e.cq, RecvCQ: e.cq, SendDepth: 4, RecvDepth: 4,
		Failed:  func(error) { e.failed.Add(1) },
		Drained: func() { e.drained.Add(1) },
	})
	require.NoError(t, err)
	return e
}

// channels is an Exchanger.
type channels struct{ in, out chan []byte }

func (c channels) Exchange(msg []byte, _ []int) ([]byte, []int, error) {
	c.out <- msg
	return <-c.in, nil, nil
}

func (channels) PassesFDs() bool { return false }

func post(t *testing.T, e *rawEnd, wrs ...transport.WorkRequest) {
	t.Helper()
	n, err := e.qp.PostSend(wrs)
	require.NoError(t, err)
	require.Equal(t, len(wrs), n)
}

func TestFailedIsToldOnce(t *testing.T) {
	t.Parallel()
	a, b := rawPair(t)
	bad := transport.FetchAdd(1, transport.Span{}, transport.RemoteSpan{}, 1)
	post(t, a, bad, bad)
	post(t, a, bad)
	a.qp.Disconnect(transport.ErrPeerGone)
	require.EqualValues(t, 1, a.failed.Load())
	require.EqualValues(t, 1, b.failed.Load())
	require.NoError(t, a.qp.Close())
	require.NoError(t, b.qp.Close())
	require.EqualValues(t, 1, a.failed.Load())
}

// TestRefusedPeers: set-up messages that do not come from a queue pair here.
func TestRefusedPeers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		msg  []byte
		want error
		text string
	}{
		{"no message", nil, transport.ErrInvalid, "set-up message of 0 bytes, not 32"},
		{"other process", make([]byte, 32), transport.ErrNotSupported,
			"loopback connects two ends in one process, and the peer is in another; use shm: between processes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, in := newRawEnd(t), make(chan []byte, 1)
			in <- c.msg
			err := e.qp.Connect(t.Context(), channels{in, make(chan []byte, 1)})
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
		})
	}
	t.Run("peer that gave up", func(t *testing.T) {
		t.Parallel()
		a, b := newRawEnd(t), newRawEnd(t)
		sent := make(chan []byte, 1)
		bad := make(chan []byte, 1)
		bad <- nil
		require.Error(t, a.qp.Connect(t.Context(), channels{bad, sent}))
		require.ErrorIs(t, b.qp.Connect(t.Context(), channels{sent, make(chan []byte, 1)}), transport.ErrPeerGone)
	})
}

// TestDrained: Drained comes when the queue pair is closed and its last
// completion was polled, or dropped with its queue, and not before.
func TestDrained(t *testing.T) {
	t.Parallel()
	var cs [1]transport.Completion
	t.Run("polled", func(t *testing.T) {
		t.Parallel()
		_, b := rawPair(t)
		require.NoError(t, b.qp.Close()) // two receives are flushed
		for range 2 {
			require.False(t, b.isDrained())
			n, err := b.cq.Poll(cs[:], 0)
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		require.True(t, b.isDrained())
	})
	t.Run("nothing outstanding", func(t *testing.T) {
		t.Parallel()
		a, _ := rawPair(t)
		require.NoError(t, a.qp.Close())
		require.True(t, a.isDrained())
	})
	t.Run("queue closed first", func(t *testing.T) {
		t.Parallel()
		_, b := rawPair(t)
		require.NoError(t, b.cq.Close())
		require.False(t, b.isDrained())
		require.NoError(t, b.qp.Close())
		require.True(t, b.isDrained())
	})
}
