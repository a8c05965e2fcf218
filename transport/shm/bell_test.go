package shm

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// Contexts that end, one after the other and in between waits under others, end
// the waits that they are for.
func TestBellWaits(t *testing.T) {
	b := newBell()
	defer b.close()
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		b.ring()
		require.NoError(t, b.wait(ctx))
		time.AfterFunc(time.Millisecond, cancel)
		require.ErrorIs(t, b.wait(ctx), context.Canceled)

		b.ring() // another context, without an end: the former one's does not matter
		require.NoError(t, b.wait(context.Background()))
		time.AfterFunc(time.Millisecond, b.ring)
		require.NoError(t, b.wait(context.Background()))
	}
	time.AfterFunc(time.Millisecond, b.close)
	require.ErrorIs(t, b.wait(context.Background()), transport.ErrClosed)
}

func TestBellAllocatesNothing(t *testing.T) {
	b := newBell()
	defer b.close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b.ring()
		if err := b.wait(ctx); err != nil {
			t.Fatal(err)
		}
	}))
}

func TestRaise(t *testing.T) {
	var word atomic.Uint32
	raise(&word, 0)
	require.Equal(t, uint32(1), word.Load(), "the first sleep")
	raise(&word, 0)
	require.Equal(t, uint32(1), word.Load(), "nobody has rung yet: the same sleep, as far as peers know")
	raise(&word, 1)
	require.Equal(t, uint32(2), word.Load(), "the bell was answered: another sleep")
	word.Store(1<<32 - 1)
	raise(&word, 1<<32-1)
	require.Equal(t, uint32(1), word.Load(), "0 is left out")
}

// A sleeping peer is rung once for each sleep, and can see that it was. (Without
// the latter it would still be woken, but milliseconds later, by a kick.)
func TestEachSleepIsRungOnce(t *testing.T) {
	h := newHostile(t)
	send := func() (rung bool) {
		_, err := h.PostSend([]transport.WorkRequest{transport.Send(1, transport.Span{})})
		require.NoError(t, err)
		defer func() { h.notified = nil }()
		return slices.Contains(h.notified, messageRingReceiver)
	}
	require.False(t, send(), "the peer never slept")
	for sleep := uint32(1); sleep < 4; sleep++ {
		h.half.receiveBell.Store(sleep)
		require.True(t, send())
		require.Equal(t, sleep, h.own.rungReceive.Load())
		require.False(t, send(), "rung already")
	}
}
