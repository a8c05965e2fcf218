package manager

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The stats of a registry are the sums over its nodes.
func TestRegistryStats(t *testing.T) {
	t.Parallel()
	r := NewRegistry(1)
	require.Zero(t, r.Stats())
	for i, id := range []string{"a", "b", "c"} {
		n := testNode(id, 1)
		n.Cores, n.FreeCores, n.MemoryBytes, n.FreeBytes, n.Draining = 4, i, 100, int64(10*i), i == 0
		require.NoError(t, r.Register(0, n, time.Second))
	}
	require.Equal(t, Stats{Revision: 3, Nodes: 3, Draining: 1, Cores: 12, FreeCores: 3, MemoryBytes: 300, FreeBytes: 30}, r.Stats())
	r.Expire(time.Second)
	require.Equal(t, Stats{Revision: 6}, r.Stats())
}

// A client says whether the manager knows the node that it keeps.
func TestRegistered(t *testing.T) {
	t.Parallel()
	l := loopback()
	m, stop := run(t, l, Config{TimeToLive: minTimeToLive})
	c := must(NewClient("http://"+l.Addr().String(), nil))
	require.False(t, c.Registered())
	end := background(t, func(ctx context.Context) error {
		return c.Keep(ctx, func() Node { return testNode("a", 1) }, nil)
	})
	require.Eventually(t, c.Registered, patience, time.Millisecond)
	require.Equal(t, 1, m.Stats().Nodes)
	stop()
	require.Eventually(t, func() bool { return !c.Registered() }, patience, time.Millisecond)
	require.NoError(t, end())
}
