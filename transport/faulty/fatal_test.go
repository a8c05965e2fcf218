package faulty_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/faulty"
	"github.com/rfaas-go/rfaas/transport/loopback"
)

// TestStatus fails each kind of request.
func TestStatus(t *testing.T) {
	t.Parallel()
	seen := map[transport.Status]bool{}
	var local transport.Span // filled in below
	var remote transport.RemoteSpan
	for i, wr := range []transport.WorkRequest{
		transport.Send(5, local),
		transport.Write(5, local, remote).With(transport.Inline),
		transport.WriteImm(5, local, remote, 1).With(transport.Signaled),
		transport.Read(5, local, remote),
		transport.FetchAdd(5, local, remote, 1),
		transport.CompareSwap(5, local, remote, 0, 1),
	} {
		for seed := range 10 {
			a, b := pairtest.New(t, fmt.Sprintf("faulty+loopback:?status=1&seed=%d", 100*i+seed))
			local, remote := a.Alloc(8, transport.LocalOnly), b.Alloc(8, transport.RemoteAll)
			b.Recv(transport.Recv(10, transport.Span{}))
			wr.Local, wr.Remote = local.Span(0, 8), remote.Remote(0, 8)
			empty := transport.Write(4, transport.Span{}, remote.Remote(0, 0)).With(transport.Signaled)
			next := wr
			next.ID = 6
			a.Post(empty, wr, next)
			cs := a.Take(3)
			require.Equal(t, []uint64{4, 5, 6}, pairtest.IDs(cs))
			require.Equal(t, transport.StatusOK, cs[0].Status, "a request without bytes is spared")
			require.Equal(t, wr.Op, cs[1].Op)
			require.EqualValues(t, faulty.Vendor, cs[1].Vendor)
			require.NotContains(t, []transport.Status{transport.StatusOK, transport.StatusFlushed}, cs[1].Status)
			seen[cs[1].Status] = true
			require.Equal(t, transport.Completion{ID: 6, Conn: a.Conn.ID(), Op: wr.Op, Status: transport.StatusFlushed}, cs[2])
			require.Equal(t, transport.StatusFlushed, b.Take(1)[0].Status)
			require.Error(t, a.Ended())
			require.Error(t, b.Ended())
			require.ErrorContains(t, a.Conn.Err(), fmt.Sprintf("injected by faulty, seed %d: %v, for request 1 of connection 1 (%v, id 5)",
				100*i+seed, cs[1].Status, wr.Op))
			counts, _ := faulty.Injected(a.Dev.Adapter())
			require.Equal(t, faulty.Counts{Status: 1}, counts)
			expectRoom(t, a, b)
		}
	}
	require.Len(t, seen, 7)
}

// TestDisconnect: both ends of a connection that is cut see a peer that is gone.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"send", "receive"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			a, b := pairtest.New(t, "faulty+loopback:?seed=9&disconnect=1")
			if by == "send" {
				a.Post(transport.Send(1, transport.Span{}), transport.Send(2, transport.Span{}))
				require.Equal(t, transport.StatusRetryExceeded, a.Take(2)[0].Status)
			} else {
				a.Recv(transport.Recv(1, transport.Span{}), transport.Recv(2, transport.Span{}))
				require.Equal(t, transport.StatusFlushed, a.Take(2)[0].Status)
			}
			require.Error(t, a.Ended())
			require.Error(t, b.Ended())
			require.ErrorIs(t, a.Conn.Err(), transport.ErrPeerGone)
			require.ErrorIs(t, b.Conn.Err(), transport.ErrPeerGone)
			require.ErrorContains(t, a.Conn.Err(), "injected by faulty, seed 9: connection 1 cut before request 0")
			counts, _ := faulty.Injected(a.Dev.Adapter())
			require.Equal(t, faulty.Counts{Disconnect: 1}, counts)
			expectRoom(t, a, b)
		})
	}
}

// expectRoom checks that a closed connection gives all of its queue back.
func expectRoom(t *testing.T, a, b *pairtest.End) {
	require.NoError(t, a.Conn.Close())
	cfg := a.Config()
	cfg.SendDepth = pairtest.QueueDepth - cfg.RecvDepth
	pairtest.Connect(t, a, b, cfg, b.Config())
}

func TestOptionalInterfaces(t *testing.T) {
	t.Parallel()
	plain, err := faulty.New(struct{ transport.Adapter }{loopback.New()}, faulty.Config{})
	require.NoError(t, err)
	_, shares := plain.(transport.SharedReceiver)
	require.False(t, shares)

	full, err := faulty.New(loopback.New(), faulty.Config{})
	require.NoError(t, err)
	_, shares = full.(transport.SharedReceiver)
	require.True(t, shares)
	pd, err := full.NewPD()
	require.NoError(t, err)
	_, registers := pd.(transport.Registrar)
	require.True(t, registers)

	_, ok := faulty.Injected(loopback.New())
	require.False(t, ok)
}

// TestSharedReceive: receives posted to a shared queue meet the faults, too.
func TestSharedReceive(t *testing.T) {
	t.Parallel()
	server, client := pairtest.NewEnd(t, "faulty+loopback:?recv-full=1"), pairtest.NewEnd(t, "loopback:")
	shared, err := server.PD.NewSharedReceive(server.Queue, 4)
	require.NoError(t, err)
	cfg := server.Config()
	cfg.Shared = shared
	client.Conn, server.Conn = pairtest.Connect(t, client, server, client.Config(), cfg)
	recv := transport.Recv(1, transport.Span{})
	n, err := shared.PostRecv(recv, recv)
	require.Equal(t, transport.ErrQueueFull, err)
	require.Equal(t, 1, n)
	client.Post(transport.Send(1, transport.Span{}))
	require.NoError(t, (&server.Take(1)[0]).Err())
	n, err = shared.PostRecv(recv)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestDisconnectNeedsABreaker(t *testing.T) {
	t.Parallel()
	adapter, err := faulty.New(loopback.New(), faulty.Config{Disconnect: 0.1})
	require.NoError(t, err)
	_, err = adapter.NewQP(transport.QPConfig{})
	require.ErrorIs(t, err, transport.ErrNotSupported)
}
