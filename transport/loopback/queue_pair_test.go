package loopback_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// TestDrained: Drained comes when the queue pair is closed and its last
// completion was polled, or dropped with its queue, and not before.
func TestDrained(t *testing.T) {
	t.Parallel()
	var cs [1]transport.Completion
	t.Run("polled", func(t *testing.T) {
		t.Parallel()
		_, b := rawPair(t)
		require.NoError(t, b.qp.Close()) // two receives are flushed
		for range 2 {
			require.False(t, b.isDrained())
			n, err := b.cq.Poll(cs[:], 0)
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		require.True(t, b.isDrained())
	})
	t.Run("nothing outstanding", func(t *testing.T) {
		t.Parallel()
		a, _ := rawPair(t)
		require.NoError(t, a.qp.Close())
		require.True(t, a.isDrained())
	})
	t.Run("queue closed first", func(t *testing.T) {
		t.Parallel()
		_, b := rawPair(t)
		require.NoError(t, b.cq.Close())
		require.False(t, b.isDrained())
		require.NoError(t, b.qp.Close())
		require.True(t, b.isDrained())
	})
}
