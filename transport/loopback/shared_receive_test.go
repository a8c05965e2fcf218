package loopback_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// fanIn connects n clients to one server that receives from a shared queue.
func fanIn(t *testing.T, n, depth int) (server *pairtest.End, shared *transport.SharedReceive, clients []*pairtest.End) {
	server = pairtest.NewEnd(t, "loopback:")
	shared, err := server.PD.NewSharedReceive(server.Queue, depth)
	require.NoError(t, err)
	for range n {
		c := pairtest.NewEnd(t, "loopback:")
		cfg := server.Config()
		cfg.Shared = shared
		c.Conn, _ = pairtest.Connect(t, c, server, c.Config(), cfg)
		clients = append(clients, c)
	}
	return server, shared, clients
}

// TestSharedReceiveServesThoseThatWait: senders that found no receive get the
// ones that are posted later, each sender's requests in order.
func TestSharedReceiveServesThoseThatWait(t *testing.T) {
	t.Parallel()
	const clients, each = 5, 3
	server, shared, ends := fanIn(t, clients, 4)
	for i, c := range ends {
		for k := range each {
			c.Post(transport.WriteImm(uint64(k), transport.Span{}, transport.RemoteSpan{}, uint32(100*i+k)).With(transport.Signaled))
		}
		c.Nothing()
	}
	seen := map[uint32][]uint32{}
	for range clients * each {
		_, err := shared.PostRecv(transport.Recv(1, transport.Span{}))
		require.NoError(t, err)
		c := server.Take(1)[0]
		require.NoError(t, c.Err())
		seen[c.Imm/100] = append(seen[c.Imm/100], c.Imm%100)
	}
	require.Len(t, seen, clients)
	for i, c := range ends {
		require.Equal(t, []uint32{0, 1, 2}, seen[uint32(i)])
		require.Equal(t, []uint64{0, 1, 2}, pairtest.IDs(c.Take(each)))
	}
}

// TestSharedReceiveSurvivesAConnection: one sender closes while it waits, one
// fails; a third goes on.
func TestSharedReceiveSurvivesAConnection(t *testing.T) {
	t.Parallel()
	server, shared, clients := fanIn(t, 3, 4)
	for _, c := range clients {
		c.Post(transport.Send(1, transport.Span{}).With(transport.Signaled))
	}
	require.NoError(t, clients[0].Conn.Close())
	require.Equal(t, transport.StatusFlushed, clients[0].Take(1)[0].Status)
	payload := clients[1].Alloc(8, transport.LocalOnly)
	clients[1].Post(transport.Send(2, payload.Span(0, 8)))
	for _, want := range []transport.Status{transport.StatusOK, transport.StatusOK, transport.StatusLocalLength} {
		_, err := shared.PostRecv(transport.Recv(1, transport.Span{}))
		require.NoError(t, err)
		require.Equal(t, want, server.Take(1)[0].Status)
	}
	require.Equal(t, transport.StatusRemoteInvalidRequest, clients[1].Take(2)[1].Status)
	require.NoError(t, (&clients[2].Take(1)[0]).Err())
	_, err := shared.PostRecv(transport.Recv(1, transport.Span{}))
	require.NoError(t, err)
	clients[2].Post(transport.Send(2, transport.Span{}).With(transport.Signaled))
	require.NoError(t, (&clients[2].Take(1)[0]).Err())
	require.NoError(t, (&server.Take(1)[0]).Err())
}

// TestSharedReceiveReservation: the completion queue's places are back when the
// shared queue is closed and the completions of its receives are polled.
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
