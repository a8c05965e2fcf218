package shm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// kick asks the background side to look after what has arrived, as the peer does, and
// returns when it has.
func (h *hostile) kick(t *testing.T) {
	h.Message([]byte{byte(messageKick)}, nil)
	require.Eventually(t, func() bool { return h.advancing.state.Load() == errandIdle }, time.Minute, time.Millisecond)
}

// A peer asks once that a message be looked after. One that has found no receive by
// then is acknowledged when it is consumed, as the program may never poll again.
func TestAskedForBeforeItsReceive(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.message(0, &slot{kind: slotSendShort})
	h.kick(t)
	require.Zero(t, h.own.acked.Load())
	_, err := h.receives.Post([]transport.WorkRequest{transport.Recv(1, transport.Span{})}) // PostRecv has it looked after, too
	require.NoError(t, err)
	require.Len(t, h.poll(t), 1)
	require.EqualValues(t, 1, h.own.acked.Load())
	h.message(1, &slot{kind: slotSendShort})
	_, err = h.receives.Post([]transport.WorkRequest{transport.Recv(2, transport.Span{})})
	require.NoError(t, err)
	require.Len(t, h.poll(t), 1)
	require.EqualValues(t, 1, h.own.acked.Load(), "nobody waits: what the program posts goes first")
}

// A message that waits for a shared receive is found when one is posted, although
// another connection has found one in between.
func TestStarvedAmongOthers(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	x, y, srq := h.sharing(t)
	x.message(0, &slot{kind: slotSendShort})
	x.kick(t)
	_, err := srq.queue.Post([]transport.WorkRequest{transport.Recv(1, transport.Span{})}) // the first half of PostRecv
	require.NoError(t, err)
	y.message(0, &slot{kind: slotSendShort})
	y.kick(t)
	_, err = srq.PostRecv([]transport.WorkRequest{transport.Recv(2, transport.Span{})})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return x.own.acked.Load() == 1 }, time.Minute, time.Millisecond)
	require.EqualValues(t, 1, y.own.acked.Load())
	require.Len(t, h.poll(t), 2)
}

// What helps messages that go to and fro one at a time costs a stream something: a
// message is alone if the program had looked for it, and found nothing.
func TestAlone(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	for id := range uint64(3) {
		_, err := h.receives.Post([]transport.WorkRequest{transport.Recv(id, transport.Span{})})
		require.NoError(t, err)
	}
	take := func(index uint32) (alone bool) {
		h.message(index, &slot{kind: slotWriteImm})
		require.Len(t, h.poll(t), 1)
		return h.recv.alone.Load() != 0
	}
	require.Empty(t, h.poll(t))
	require.True(t, take(0))
	require.False(t, take(1))
	require.Empty(t, h.poll(t))
	require.True(t, take(2))
}
