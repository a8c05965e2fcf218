package transport_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/loopback"
)

// limited is an adapter that can do less than loopback.
type limited struct {
	transport.Adapter
	limit func(*transport.Capabilities)
}

func (l limited) Capabilities() transport.Capabilities {
	caps := l.Adapter.Capabilities()
	l.limit(&caps)
	return caps
}

// newLimitedPair connects two devices that can do less than loopback.
func newLimitedPair(t *testing.T, limit func(*transport.Capabilities)) (a, b *pairtest.End) {
	newEnd := func() *pairtest.End {
		dev := transport.NewDevice("limited", limited{loopback.New(), limit})
		t.Cleanup(func() { require.NoError(t, dev.Close()) })
		return pairtest.NewEndOn(t, dev)
	}
	a, b = newEnd(), newEnd()
	a.Conn, b.Conn = pairtest.Connect(t, a, b, a.Config(), b.Config())
	return a, b
}

// TestBadRequests posts, between two good ones, each request that the front
// refuses, and checks what it says.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	a, b := newLimitedPair(t, func(caps *transport.Capabilities) {
		caps.MaxMessageBytes = 1000
		caps.Ops &^= transport.Ops(transport.OpRead)
	})
	mem := a.Alloc(4096, transport.LocalOnly)
	to := b.Alloc(4096, transport.RemoteAll).Remote(0, 4096)
	span := mem.Span(0, 8)
	closed := a.Alloc(8, transport.LocalOnly)
	stale := closed.Span(0, 8)
	require.NoError(t, closed.Close())
	other, err := a.Dev.NewProtectionDomain()
	require.NoError(t, err)
	for range 100 { // handles that the connection's domain never gave out
		_, err = other.Alloc(8, transport.LocalOnly)
		require.NoError(t, err)
	}
	foreignRegion, err := other.Alloc(8, transport.LocalOnly)
	require.NoError(t, err)
	foreign := foreignRegion.Span(0, 8)

	good := transport.Write(100, span, to).With(transport.Signaled)
	for _, c := range []struct {
		name string
		wr   transport.WorkRequest
		is   error
		text string
	}{
		{"zero request", transport.WorkRequest{ID: 7}, transport.ErrInvalid, "post invalid (request 7): invalid: Post takes sends, writes, reads and atomics; receives go to PostRecv"},
		{"receive", transport.Recv(7, span), transport.ErrInvalid, "post recv (request 7): invalid: Post takes"},
		{"unknown operation", transport.WorkRequest{ID: 7, Op: 200}, transport.ErrInvalid, "post op(200) (request 7): invalid: Post takes"},
		{"operation the provider lacks", transport.Read(7, span, to), transport.ErrNotSupported, "post read (request 7): not supported: this provider has no read"},
		{"unknown flag", good.With(1 << 7), transport.ErrInvalid, "unknown flags 0x80"},
		{"inline atomic", transport.FetchAdd(7, span, to, 1).With(transport.Inline), transport.ErrInvalid, "only Send, Write and WriteImm can be inline"},
		{"atomic of 4 bytes", transport.FetchAdd(7, span.Slice(0, 4), to, 1), transport.ErrInvalid, "the result of an atomic takes 8 bytes, not 4"},
		{"atomic between words", transport.CompareSwap(7, span, to.Slice(4, 8), 1, 2), transport.ErrInvalid, "is not 8-byte aligned"},
		{"atomic beyond the grant", transport.FetchAdd(7, span, to.Slice(0, 7), 1), transport.ErrOutOfRange, "the remote span has 7 bytes, an atomic needs 8"},
		{"atomic into a closed region", transport.FetchAdd(7, stale, to, 1), transport.ErrInvalid, "a local span's region is closed or belongs to another protection domain"},
		{"too long", transport.Write(7, mem.Span(0, 999), to).WithSecondSpan(mem.Span(0, 2)), transport.ErrOutOfRange, "1001 bytes; this provider moves at most 1000 in one request"},
		{"beyond the grant", transport.WriteImm(7, span, to.Slice(0, 7), 1), transport.ErrOutOfRange, "8 bytes to or from a remote span of 7"},
		{"too long inline", transport.Send(7, mem.Span(0, 65)).With(transport.Inline), transport.ErrOutOfRange, "65 bytes inline; this connection was made with InlineBytes 64"},
		{"closed region", transport.Send(7, stale), transport.ErrInvalid, "a local span's region is closed"},
		{"closed region, second span", transport.Send(7, span).WithSecondSpan(stale), transport.ErrInvalid, "a local span's region is closed"},
		{"other domain", transport.Send(7, foreign), transport.ErrInvalid, "belongs to another protection domain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, err := a.Conn.Post(good, c.wr, good)
			require.Equal(t, 1, n)
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.text)
			var op *transport.OpError
			require.ErrorAs(t, err, &op)
			require.Equal(t, transport.ScopeRequest, op.Scope)
			require.NoError(t, (&a.Take(1)[0]).Err(), "the one before it is done")
			a.Nothing()
		})
	}
	require.NoError(t, a.Conn.Err())
}

func TestBadReceives(t *testing.T) {
	t.Parallel()
	a, _ := pairtest.New(t, "loopback:")
	mem, closed := a.Alloc(64, transport.LocalOnly), a.Alloc(8, transport.LocalOnly)
	span, stale := mem.Span(0, 8), closed.Span(0, 8)
	require.NoError(t, closed.Close())
	for text, wr := range map[string]transport.WorkRequest{
		"post send (request 7): invalid: PostRecv takes Recv requests only": transport.Send(7, span),
		"post recv (request 8): invalid: a local span's region is closed":   transport.Recv(8, stale),
		"post recv (request 9): invalid: a local span's region is closed":   transport.Recv(9, span).WithSecondSpan(stale),
		"invalid: flags 0x2; a receive takes none":                          transport.Recv(7, span).With(transport.Inline),
	} {
		n, err := a.Conn.PostRecv(transport.Recv(1, span).With(transport.Signaled), wr)
		require.Equal(t, 1, n)
		require.ErrorIs(t, err, transport.ErrInvalid)
		require.ErrorContains(t, err, text)
	}
}

func TestPostAfterClose(t *testing.T) {
	t.Parallel()
	a, b := pairtest.New(t, "loopback:")
	shared, err := b.PD.NewSharedReceive(b.Queue, 4)
	require.NoError(t, err)
	require.NoError(t, shared.Close())
	require.NoError(t, shared.Close())
	require.NoError(t, a.Conn.Close())
	require.NoError(t, a.Conn.Close())
	require.NoError(t, a.Queue.Close())
	require.NoError(t, a.Queue.Close())
	_, err = a.Conn.Post()
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = a.Conn.PostRecv()
	require.ErrorIs(t, err, transport.ErrClosed)
	_, err = shared.PostRecv()
	require.ErrorIs(t, err, transport.ErrClosed)
	_, err = a.Queue.Poll(nil)
	require.ErrorIs(t, err, transport.ErrClosed)
	require.ErrorIs(t, a.Conn.Err(), transport.ErrClosed)
}

func TestPostToASharedReceive(t *testing.T) {
	t.Parallel()
	a, b := pairtest.NewEnd(t, "loopback:"), pairtest.NewEnd(t, "loopback:")
	shared, err := b.PD.NewSharedReceive(b.Queue, 4)
	require.NoError(t, err)
	cfg := b.Config()
	cfg.Shared = shared
	a.Conn, b.Conn = pairtest.Connect(t, a, b, a.Config(), cfg)
	_, err = b.Conn.PostRecv(transport.Recv(1, transport.Span{}))
	require.ErrorIs(t, err, transport.ErrInvalid)
	require.ErrorContains(t, err, "the connection takes from a shared receive queue; post there")
	_, err = shared.PostRecv(transport.Send(1, transport.Span{}))
	require.ErrorIs(t, err, transport.ErrInvalid)
}

func TestNoAllocations(t *testing.T) {
	a, b := pairtest.New(t, "loopback:")
	shared, err := b.PD.NewSharedReceive(b.Queue, 4)
	require.NoError(t, err)
	from, to := a.Alloc(64, transport.RemoteAll), b.Alloc(64, transport.RemoteAll)
	span, remote := from.Span(0, 64), to.Remote(0, 64)
	recv := transport.Recv(1, to.Span(0, 64))
	var cs [4]transport.Completion
	require.Zero(t, testing.AllocsPerRun(200, func() {
		shared.PostRecv(recv) // full from the fifth round on
		b.Conn.PostRecv(recv, recv.WithSecondSpan(to.Span(0, 8)))
		a.Conn.Post(
			transport.Send(1, span).With(transport.Inline),
			transport.WriteImm(2, span.Slice(0, 8), remote, 1).WithSecondSpan(span.Slice(8, 8)).With(transport.Signaled),
		)
		a.Queue.Poll(cs[:])
		b.Queue.Poll(cs[:])
	}))
	require.Equal(t, transport.StatusOK, cs[0].Status)
	require.NoError(t, shared.Close())
}
