package loopback

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// TestClosedSenderIsForgotten: a sender that is closed while it waits for a
// shared receive is not kept.
func TestClosedSenderIsForgotten(t *testing.T) {
	t.Parallel()
	a := &adapter{}
	pd, err := a.NewPD()
	require.NoError(t, err)
	cq, err := a.NewCQ(transport.CQConfig{Depth: 8})
	require.NoError(t, err)
	srq, err := a.NewSRQ(transport.SRQConfig{PD: pd, CQ: cq, Depth: 4})
	require.NoError(t, err)
	newQP := func(srq transport.SRQ) *queuePair {
		qp, err := a.NewQP(transport.QPConfig{PD: pd, SendCQ: cq, RecvCQ: cq, SRQ: srq, SendDepth: 4, Drained: func() {}})
		require.NoError(t, err)
		return qp.(*queuePair)
	}
	var senders []*queuePair
	for range 3 {
		sender, receiver, w := newQP(nil), newQP(srq), &wire{}
		for _, q := range []*queuePair{sender, receiver} {
			require.NoError(t, w.attach(q))
			q.wire = w
		}
		for range 2 {
			_, err := sender.PostSend([]transport.WorkRequest{transport.Send(1, transport.Span{})})
			require.NoError(t, err)
		}
		senders = append(senders, sender)
	}
	waiting := &srq.(*sharedReceiveQueue).waiting
	require.Equal(t, senders, *waiting)
	require.NoError(t, senders[1].Close())
	require.Equal(t, []*queuePair{senders[0], senders[2]}, *waiting)
}

// TestTakenReceive: a receive that was taken stays what it is while one that was taken
// after it completes, which makes room for another in the queue.
func TestTakenReceive(t *testing.T) {
	t.Parallel()
	srq, err := (&adapter{}).NewSRQ(transport.SRQConfig{Depth: 2})
	require.NoError(t, err)
	s := srq.(*sharedReceiveQueue)
	_, err = s.PostRecv([]transport.WorkRequest{transport.Recv(1, transport.Span{}), transport.Recv(2, transport.Span{})})
	require.NoError(t, err)
	slow, ok := s.take(&queuePair{})
	require.True(t, ok)
	_, ok = s.take(&queuePair{})
	require.True(t, ok)
	s.recvs.Credits.Give(1) // the second one has completed
	_, err = s.PostRecv([]transport.WorkRequest{transport.Recv(3, transport.Span{})})
	require.NoError(t, err)
	require.EqualValues(t, 1, slow.ID)
}
