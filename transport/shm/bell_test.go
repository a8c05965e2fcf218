package shm

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

// Contexts that end, one after the other and in between waits under others, end
// the waits that they are for.
func TestBellWaits(t *testing.T) {
	b, err := newBell()
	require.NoError(t, err)
	defer b.close()
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		b.ring()
		require.NoError(t, b.wait(ctx))
		time.AfterFunc(time.Millisecond, cancel)
		for err = nil; err == nil; {
			err = b.wait(ctx)
		}
		require.ErrorIs(t, err, context.Canceled)

		b.ring() // another context, without an end: the former one's does not matter
		require.NoError(t, b.wait(context.Background()))
		time.AfterFunc(time.Millisecond, b.ring)
		require.NoError(t, b.wait(context.Background()))
	}
	time.AfterFunc(time.Millisecond, func() { b.close() })
	require.ErrorIs(t, b.wait(context.Background()), os.ErrClosed)
}

func TestBellAllocatesNothing(t *testing.T) {
	b, err := newBell()
	require.NoError(t, err)
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
		var buf [8]byte
		n, _ := unix.Read(h.peerReceiveBell, buf[:])
		return n == 8
	}
	require.False(t, send(), "the peer never slept")
	for sleep := uint32(1); sleep < 4; sleep++ {
		h.half.receiveBell.Store(sleep)
		require.True(t, send())
		require.Equal(t, sleep, h.own.rungReceive.Load())
		require.False(t, send(), "rung already")
	}
}

// boundContext never ends, and counts those who wait for that.
type boundContext struct {
	context.Context
	done  chan struct{}
	bound atomic.Int32
}

func (c *boundContext) Done() <-chan struct{} { return c.done }

func (c *boundContext) AfterFunc(func()) (stop func() bool) {
	c.bound.Add(1)
	return func() bool {
		c.bound.Add(-1)
		return true
	}
}

// A context outlives many bells: none leaves anything with it.
func TestBellLetsGoOfItsContext(t *testing.T) {
	t.Parallel()
	ctx := &boundContext{Context: t.Context(), done: make(chan struct{})}
	b, err := newBell()
	require.NoError(t, err)
	for range 3 {
		b.ring()
		require.NoError(t, b.wait(ctx))
		require.EqualValues(t, 1, ctx.bound.Load(), "bound once")
	}
	require.NoError(t, b.close())
	require.Zero(t, ctx.bound.Load())
	require.Error(t, b.wait(ctx))
}
