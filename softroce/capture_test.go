package softroce_test

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// recorder keeps what it is shown.
type recorder struct {
	sync.Mutex
	packets []softroce.Captured
}

func (r *recorder) tap(c softroce.Captured) {
	r.Lock()
	defer r.Unlock()
	c.Datagram = append([]byte(nil), c.Datagram...)
	r.packets = append(r.packets, c)
}

func (r *recorder) count(sent bool) (n int) {
	r.Lock()
	defer r.Unlock()
	for _, c := range r.packets {
		if c.Sent == sent {
			n++
		}
	}
	return n
}

// converse has two ends use every operation.
func converse(t *testing.T, x, y *pairtest.End) {
	t.Helper()
	const size = 10_001
	local, remote := x.Alloc(size, transport.LocalOnly), y.Alloc(size, transport.RemoteAll)
	y.Recv(transport.Recv(1, remote.Span(0, size)), transport.Recv(2, transport.Span{}))
	x.Post(
		transport.Send(1, local.Span(0, size)).With(transport.Signaled),
		transport.WriteImm(2, local.Span(0, 9), remote.Remote(0, size), 7).With(transport.Signaled|transport.Inline|transport.Solicited),
		transport.Write(3, local.Span(0, size), remote.Remote(0, size)).With(transport.Signaled),
		transport.Read(4, local.Span(0, size), remote.Remote(0, size)).With(transport.Signaled),
		transport.FetchAdd(5, local.Span(0, 8), remote.Remote(0, 8), 1).With(transport.Signaled),
		transport.CompareSwap(6, local.Span(0, 8), remote.Remote(0, 8), 1, 2).With(transport.Signaled|transport.Fence),
	)
	for _, c := range append(x.Take(6), y.Take(2)...) {
		require.Equal(t, transport.StatusOK, c.Status)
	}
}

// What one end's tap saw sent, the other's saw received, and the checksum of each
// packet holds with the identification that the tap tells.
func TestTap(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"softroce:?mtu=1024", "softroce:?segmentation=off", "softroce:?icrc=exact", "softroce://[::1]:0"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(url, "exact") {
				needRoot(t, "opening a raw socket")
			}
			x, y := pairtest.New(t, url)
			var atX, atY recorder
			x.Dev.Adapter().(*softroce.Adapter).Tap(atX.tap)
			y.Dev.Adapter().(*softroce.Adapter).Tap(atY.tap)
			converse(t, x, y)
			require.Eventually(t, func() bool { // a packet that was sent once more may be under way
				return atX.count(true) == atY.count(false) && atY.count(true) == atX.count(false)
			}, time.Minute, time.Millisecond)
			x.Dev.Adapter().(*softroce.Adapter).Tap(nil)
			y.Dev.Adapter().(*softroce.Adapter).Tap(nil)
			require.Equal(t, ofOne(t, atX.packets, true), ofOne(t, atY.packets, false))
			require.Equal(t, ofOne(t, atY.packets, true), ofOne(t, atX.packets, false))
		})
	}
}

// ofOne are the packets that were sent, or received, decoded and checked.
func ofOne(t *testing.T, packets []softroce.Captured, sent bool) (texts []string) {
	flows := map[[2]netip.AddrPort]wire.Flow{}
	for _, c := range packets {
		if c.Sent != sent {
			continue
		}
		key := [2]netip.AddrPort{c.Source, c.Destination}
		flow, ok := flows[key]
		if !ok {
			flow = wire.NewFlow(c.Source, c.Destination)
			flows[key] = flow
		}
		var p wire.Packet
		require.NoError(t, p.Decode(c.Datagram))
		require.True(t, flow.CheckID(c.Datagram, c.ID), "%v with id %d", p.Opcode, c.ID)
		texts = append(texts, p.Opcode.String()+" "+string(c.Datagram))
	}
	require.NotEmpty(t, texts)
	return texts
}

func TestObserve(t *testing.T) { // not in parallel: it sees the engines of all tests
	var seen []*softroce.Adapter
	stop := softroce.Observe(func(a *softroce.Adapter) { seen = append(seen, a) })
	x := pairtest.NewEnd(t, "softroce:")
	stop()
	pairtest.NewEnd(t, "softroce:")
	require.Equal(t, []*softroce.Adapter{x.Dev.Adapter().(*softroce.Adapter)}, seen)
}
