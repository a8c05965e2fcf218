package loopback_test

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// TestFailures provokes every failure of the table in the package comment.
func TestFailures(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		// provoke posts at b what is needed there, and returns the request that is
		// to fail.
		provoke    func(a, b *pairtest.End, from *transport.Region) transport.WorkRequest
		requester  transport.Status
		responder  transport.Status // of the receive 10, posted first
		why, their string           // in the errors of the two connections
	}{
		{"unknown rkey", func(a, b *pairtest.End, from *transport.Region) transport.WorkRequest {
			to := b.Alloc(64, transport.RemoteAll).Remote(0, 64)
			to.Key++
			return transport.Write(1, from.Span(0, 8), to)
		}, transport.StatusRemoteAccess, transport.StatusFlushed, "names no region", "a write of the peer failed"},
		{"beyond the end", func(a, b *pairtest.End, from *transport.Region) transport.WorkRequest {
			to := b.Alloc(64, transport.RemoteAll).Remote(0, 64)
			to.Addr += 57
			return transport.Read(1, from.Span(0, 8), to)
		}, transport.StatusRemoteAccess, transport.StatusFlushed, "8 bytes at 0x", "a read of the peer failed"},
		{"before the beginning", func(a, b *pairtest.End, from *transport.Region) transport.WorkRequest {
			to := b.Alloc(64, transport.RemoteAll).Remote(0, 64)
			to.Addr -= 8
			return transport.FetchAdd(1, from.Span(0, 8), to, 1)
		}, transport.StatusRemoteAccess, transport.StatusFlushed, "not within the region of 64 bytes", "a fetch-add of the peer failed"},
		{"no right to write", func(a, b *pairtest.End, from *transport.Region) transport.WorkRequest {
			to := b.Alloc(64, transport.RemoteRead|transport.RemoteAtomic)
			return transport.WriteImm(1, from.Span(0, 8), to.Remote(0, 64), 1)
		}, transport.StatusRemoteAccess, transport.StatusFlushed, "grants remote-read,remote-atomic, not remote-write", ""},
		{"no right to read", func(a, b *pairtest.End, from *transport.Region) transport.WorkRequest {
			to := b.Alloc(64, transport.RemoteWrite|transport.RemoteAtomic)
			return transport.Read(1, from.Span(0, 8), to.Remote(0, 64))
		}, transport.StatusRemoteAccess, transport.StatusFlushed, "not remote-read", ""},
		{"no right to count", func(a, b *pairtest.End, from *transport.Region) transport.WorkRequest {
			to := b.Alloc(64, transport.RemoteRead|transport.RemoteWrite)
			return transport.CompareSwap(1, from.Span(0, 8), to.Remote(0, 64), 0, 1)
		}, transport.StatusRemoteAccess, transport.StatusFlushed, "not remote-atomic", ""},
		{"revoked", func(a, b *pairtest.End, from *transport.Region) transport.WorkRequest {
			to := b.Alloc(64, transport.RemoteAll)
			span := to.Remote(0, 64)
			require.NoError(b.T, to.Close())
			return transport.Write(1, from.Span(0, 8), span)
		}, transport.StatusRemoteAccess, transport.StatusFlushed, "one that was closed", ""},
		{"another domain", func(a, b *pairtest.End, from *transport.Region) transport.WorkRequest {
			other, err := b.Dev.NewProtectionDomain()
			require.NoError(b.T, err)
			to, err := other.Alloc(64, transport.RemoteAll)
			require.NoError(b.T, err)
			return transport.Write(1, from.Span(0, 8), to.Remote(0, 64))
		}, transport.StatusRemoteAccess, transport.StatusFlushed, "names no region", ""},
		{"receive too small", func(a, b *pairtest.End, from *transport.Region) transport.WorkRequest {
			return transport.Send(1, from.Span(0, 9))
		}, transport.StatusRemoteInvalidRequest, transport.StatusLocalLength, "9 bytes sent, the receive has room for 8", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := pairtest.New(t, "loopback:")
			from, room := a.Alloc(64, transport.LocalOnly), b.Alloc(64, transport.LocalOnly)
			b.Recv(transport.Recv(10, room.Span(0, 4)).WithSecondSpan(room.Span(4, 4)), transport.Recv(11, room.Span(8, 8)))
			a.Post(c.provoke(a, b, from), transport.Send(2, from.Span(0, 1))) // neither is signaled
			requireFailed(t, a, b, c.requester, c.responder)
			require.ErrorContains(t, a.Conn.Err(), c.why)
			require.ErrorContains(t, a.Conn.Err(), c.requester.String())
			require.ErrorContains(t, b.Conn.Err(), c.their)
		})
	}
}

// requireFailed checks that request 1 of a failed, and that the rest was
// flushed, as is what is posted afterwards.
func requireFailed(t *testing.T, a, b *pairtest.End, requester, responder transport.Status) {
	t.Helper()
	require.Error(t, a.Ended())
	require.Error(t, b.Ended())
	sent, received := a.Take(2), b.Take(2)
	require.Equal(t, []uint64{1, 2}, pairtest.IDs(sent))
	require.Equal(t, []uint64{10, 11}, pairtest.IDs(received))
	require.Equal(t, requester, sent[0].Status)
	require.Equal(t, transport.StatusFlushed, sent[1].Status)
	require.Equal(t, responder, received[0].Status)
	require.Equal(t, transport.StatusFlushed, received[1].Status)
	a.Post(transport.Send(3, transport.Span{}))
	b.Recv(transport.Recv(12, transport.Span{}))
	require.Equal(t, transport.Completion{ID: 3, Conn: a.Conn.ID(), Op: transport.OpSend, Status: transport.StatusFlushed}, a.Take(1)[0])
	require.Equal(t, transport.Completion{ID: 12, Conn: b.Conn.ID(), Op: transport.OpRecv, Status: transport.StatusFlushed}, b.Take(1)[0])
}

// TestPeerGone: the stream of a connection breaks.
func TestPeerGone(t *testing.T) {
	t.Parallel()
	a, b := pairtest.NewEnd(t, "loopback:"), pairtest.NewEnd(t, "loopback:")
	sa, sb := net.Pipe()
	accepted := make(chan *transport.Conn, 1)
	go func() {
		defer close(accepted)
		r, err := transport.Receive(context.Background(), sb)
		if err != nil {
			return
		}
		conn, _ := r.Accept(context.Background(), b.Config())
		accepted <- conn
	}()
	var err error
	a.Conn, err = a.Dev.Connect(context.Background(), sa, a.Config())
	require.NoError(t, err)
	b.Conn = <-accepted
	require.NotNil(t, b.Conn)
	a.Recv(transport.Recv(20, transport.Span{}))
	a.Post(transport.Send(1, transport.Span{}), transport.Send(2, transport.Span{}))
	require.NoError(t, sa.Close())
	require.Equal(t, []transport.Completion{
		{ID: 1, Conn: a.Conn.ID(), Op: transport.OpSend, Status: transport.StatusRetryExceeded},
		{ID: 2, Conn: a.Conn.ID(), Op: transport.OpSend, Status: transport.StatusFlushed},
		{ID: 20, Conn: a.Conn.ID(), Op: transport.OpRecv, Status: transport.StatusFlushed},
	}, a.Take(3))
	require.Error(t, b.Ended())
	require.ErrorIs(t, a.Conn.Err(), transport.ErrPeerGone)
	require.ErrorIs(t, b.Conn.Err(), transport.ErrPeerGone)
}
