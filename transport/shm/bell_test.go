package shm

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

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
