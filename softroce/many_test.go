package softroce_test

import (
	"context"
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// A thousand connections through one engine on either side: what each costs in
// memory, and that all of them get on.
func TestThousandConnections(t *testing.T) {
	connections, rounds := 1000, 5
	if testing.Short() {
		connections = 100
	}
	const depth, size = 4, 20_000
	x, y := pairtest.NewEnd(t, "softroce:"), pairtest.NewEnd(t, "softroce:")
	queue := func(e *pairtest.End) *transport.Queue {
		q, err := e.Dev.NewQueue(2 * depth * connections)
		require.NoError(t, err)
		return q
	}
	config := func(e *pairtest.End, q *transport.Queue) transport.ConnConfig {
		return transport.ConnConfig{Domain: e.PD, SendQueue: q, RecvQueue: q, SendDepth: depth, RecvDepth: depth}
	}
	qx, qy := queue(x), queue(y)
	before := heapBytes()
	conns := make([]*transport.Conn, connections)
	for i := range conns {
		sx, sy := net.Pipe()
		conns[i], _ = pairtest.ConnectOver(t, x, y, config(x, qx), config(y, qy), sx, sy)
	}
	t.Logf("%d bytes of heap for each of %d ends of connections of depth %d, set-up stream included", (heapBytes()-before)/uint64(2*connections), 2*connections, depth)

	// Every connection has a place of its own in the target, written by all at once.
	source, target := x.Alloc(size, transport.LocalOnly), y.Alloc(size*connections, transport.RemoteWrite)
	for round := range rounds {
		for i := range source.Bytes() {
			source.Bytes()[i] = byte(i + round)
		}
		for i, c := range conns {
			_, err := c.Post(transport.Write(uint64(i), source.Span(0, size), target.Remote(i*size, size)).With(transport.Signaled))
			require.NoError(t, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), pairtest.Patience)
		seen := map[uint64]bool{}
		var completions [64]transport.Completion
		for len(seen) < connections {
			n, err := qx.Wait(ctx, completions[:], transport.Warm)
			require.NoError(t, err, "round %d: %d of %d connections made progress", round, len(seen), connections)
			for _, c := range completions[:n] {
				require.Equal(t, transport.StatusOK, c.Status, "%v", conns[c.ID].Err())
				seen[c.ID] = true
			}
		}
		cancel()
		for i := range conns {
			require.Equal(t, source.Bytes(), target.Bytes()[i*size:][:size], "connection %d", i)
		}
	}
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
