package softroce

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// TestWholeMessages: a long write leaves in as few messages as there can be, also when
// two connections take turns.
func TestWholeMessages(t *testing.T) {
	t.Parallel()
	x, y := pairtest.NewEnd(t, "softroce:?min-timeout=30s"), pairtest.NewEnd(t, "softroce:?min-timeout=30s")
	conns := make([]*transport.Conn, 2)
	for i := range conns {
		conns[i], _ = pairtest.Connect(t, x, y, x.Config(), y.Config())
	}
	e, adapter := engineOf(x), x.Dev.Adapter().(*Adapter)
	if !e.socket.segments {
		const reason = "this kernel does not split messages (UDP_SEGMENT)"
		if os.Getenv("CI") != "" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	packets := adapter.window()
	size := packets * adapter.mtu
	local, remote := x.Alloc(size, transport.LocalOnly), y.Alloc(size, transport.RemoteWrite)
	write := func(c *transport.Conn) {
		_, err := c.Post(transport.Write(1, local.Span(0, size), remote.Remote(0, size)).With(transport.Signaled))
		require.NoError(t, err)
	}
	for _, c := range conns { // until their windows have grown
		for range 4 {
			write(c)
			require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
		}
	}

	seen, messages := 0, map[uint32]int{}
	adapter.Tap(func(c Captured) {
		var p wire.Packet
		if c.Sent && p.Decode(c.Datagram) == nil && p.PayloadBytes() > 0 {
			seen++
			if c.ID == 0 { // the first of a message
				messages[p.DestQP]++
			}
		}
	})
	// With the lock held nothing is acknowledged meanwhile, which would let packets out one
	// by one, and the clock stands still.
	e.Lock()
	for _, c := range conns {
		write(c)
	}
	e.takePosts()
	for e.ready.first != nil {
		e.transmit(true)
	}
	e.tap = nil
	e.Unlock()
	require.Equal(t, len(conns)*packets, seen)
	require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
	require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)

	// The first packet has a longer header, and only shorter ones can follow: one.
	most := gsoBytes / (minDatagram + adapter.mtu)
	want := 1 + (packets-2+most-1)/most
	require.Len(t, messages, len(conns))
	for _, n := range messages {
		require.Equal(t, want, n, "messages for %d packets", packets)
	}
}
