package executor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// An executor whose function goes on with a call that was given up ends, and says why; one
// whose function has returned lives on.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	e := begin(t, supervise(t, Config{}), own1("forever"))
	device, err := transport.Open("shm:")
	require.NoError(t, err)
	defer device.Close()
	c, err := e.Dial(t.Context(), device, invoke.ClientConfig{Slots: 2, SlotBytes: 4096})
	require.NoError(t, err)
	defer c.Close()
	give := func(name string, number uint64) {
		f, err := c.Function(t.Context(), name)
		require.NoError(t, err)
		call, err := c.Go(t.Context(), f, nil)
		require.NoError(t, err)
		require.Eventually(t, func() bool { _, _, now := e.progress.look(); return now == number }, patience, time.Millisecond)
		require.NoError(t, call.Abandon())
	}
	give("other", 0) // the echo
	f, err := c.Function(t.Context(), "other")
	require.NoError(t, err)
	_, err = c.Call(t.Context(), f, nil, nil)
	require.NoError(t, err)
	give("forever", 1)
	_, err = c.Call(t.Context(), f, nil, nil)
	require.ErrorIs(t, err, invoke.ErrWorkerGone, "it waits behind the other one")
	fate := requireEnds(t, e)
	require.Equal(t, Fate{Cause: Abandoned, ExitStatus: exitGivenUp, Function: "forever"}, fate)
	require.Contains(t, fate.Err().Error(), `the executor ended because function "forever" went on for 250ms after its caller had given up`)
	require.ErrorIs(t, fate.Err(), invoke.ErrCanceled)
}
