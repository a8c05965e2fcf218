package transport

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// from is a stream of which only its other end's address is known.
type from struct {
	net.Conn
	address string
}

func (f from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.address))
}

// newcomer finds a place; driven is why it lost it.
func newcomer(t *testing.T, p *pending, address string) (w *waiting, driven context.Context) {
	t.Helper()
	driven, cancel := context.WithCancelCause(t.Context())
	w, err := p.add(t.Context(), from{address: address}, cancel)
	require.NoError(t, err)
	return w, driven
}

// Who floods a listener drives out himself, and nobody else.
func TestFlood(t *testing.T) {
	t.Parallel()
	p := newPending(4)
	_, slow := newcomer(t, p, "192.0.2.1:1")
	first, driven := newcomer(t, p, "192.0.2.2:1")
	second, _ := newcomer(t, p, "192.0.2.2:2")
	asking, _ := newcomer(t, p, "[::ffff:192.0.2.2]:3")
	p.heard(asking)

	_, other := newcomer(t, p, "192.0.2.3:1") // at once
	require.ErrorIs(t, context.Cause(driven), errDrivenOut)
	p.remove(first)
	require.Equal(t, 4, p.size, "its place was another's already")

	begun := time.Now()
	_, fresh := newcomer(t, p, "192.0.2.2:4") // those of one host wait for each other
	require.GreaterOrEqual(t, time.Since(begun), silence/2)
	p.remove(second)
	require.NoError(t, slow.Err())
	require.NoError(t, other.Err())
	require.NoError(t, fresh.Err())
	require.Equal(t, 4, p.size)

	p.remove(asking)
	_, last := newcomer(t, p, "192.0.2.2:5")
	require.NoError(t, last.Err())
	require.NoError(t, fresh.Err())
	require.Equal(t, 4, p.size)
}

// As long as all have said what they want, and are not accepted, a newcomer waits.
func TestNobodySilent(t *testing.T) {
	t.Parallel()
	p := newPending(1)
	asking, _ := newcomer(t, p, "192.0.2.1:1")
	p.heard(asking)
	found := make(chan struct{})
	go func() {
		defer close(found)
		newcomer(t, p, "192.0.2.2:1")
	}()
	select {
	case <-found:
		t.Fatal("there was no place")
	case <-time.After(time.Millisecond):
	}
	p.remove(asking)
	<-found
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.add(ctx, from{address: "192.0.2.2:2"}, func(error) {})
	require.ErrorIs(t, err, context.Canceled)
}

func TestSourceOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1:1": "192.0.2.1", "[::ffff:192.0.2.1]:2": "192.0.2.1", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64",
	} {
		require.Equal(t, want, sourceOf(from{address: address}))
	}
}
