package loopback_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/loopback"
)

func newCQ(t *testing.T) transport.CQ {
	adapter := loopback.New()
	cq, err := adapter.NewCQ(transport.CQConfig{Depth: 4})
	require.NoError(t, err)
	return cq
}

func TestArmSeesWhatIsThere(t *testing.T) {
	t.Parallel()
	a, b := rawPair(t)
	post(t, a, transport.Send(1, transport.Span{}).With(transport.Signaled))
	for _, solicitedOnly := range []bool{false, true} {
		ready, err := b.cq.Arm(solicitedOnly)
		require.NoError(t, err)
		require.True(t, ready)
	}
}

// TestWakeUp: which completions wake a sleeper.
func TestWakeUp(t *testing.T) {
	t.Parallel()
	silent, loud := transport.Send(1, transport.Span{}), transport.Send(1, transport.Span{}).With(transport.Solicited)
	for _, c := range []struct {
		name          string
		solicitedOnly bool
		send          transport.WorkRequest
		wakes         bool
	}{
		{"any", false, silent, true},
		{"any, solicited", false, loud, true},
		{"solicited only", true, loud, true},
		{"solicited only, other", true, silent, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for range 20 { // of two things to return for, Wait picks one at random
				a, b := rawPair(t)
				ready, err := b.cq.Arm(c.solicitedOnly)
				require.NoError(t, err)
				require.False(t, ready)
				post(t, a, c.send)
				ctx, cancel := context.WithCancel(t.Context())
				if !c.wakes {
					cancel()
				}
				err = b.cq.Wait(ctx)
				cancel()
				if c.wakes {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, context.Canceled)
				}
			}
		})
	}
}

func TestFailureWakesWhoWaitsForSolicited(t *testing.T) {
	t.Parallel()
	a, b := rawPair(t)
	_, err := b.cq.Arm(true)
	require.NoError(t, err)
	post(t, a, transport.Write(1, transport.Span{}, transport.RemoteSpan{}), transport.FetchAdd(2, transport.Span{}, transport.RemoteSpan{}, 1))
	require.NoError(t, b.cq.Wait(t.Context()))
	var cs [4]transport.Completion
	n, err := b.cq.Poll(cs[:], 0)
	require.NoError(t, err)
	require.Equal(t, 2, n, "both receives are flushed")
}

func TestCloseWakes(t *testing.T) {
	t.Parallel()
	cq := newCQ(t)
	_, err := cq.Arm(false)
	require.NoError(t, err)
	woken := make(chan error)
	go func() { woken <- cq.Wait(context.Background()) }()
	require.NoError(t, cq.Close())
	require.ErrorIs(t, <-woken, transport.ErrClosed)
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

func TestLeaksAreReported(t *testing.T) {
	t.Parallel()
	adapter := loopback.New()
	pd, err := adapter.NewPD()
	require.NoError(t, err)
	mr, err := pd.Alloc(1, transport.LocalOnly)
	require.NoError(t, err)
	require.EqualError(t, pd.Close(), "loopback: protection domain closed with 1 regions open")
	require.EqualError(t, adapter.Close(), "loopback: closed while these are open: 1 memory region, 1 protection domain")
	mr.Revoke()
	require.NoError(t, mr.Close())
	require.NoError(t, pd.Close())
	require.NoError(t, adapter.Close())
}
