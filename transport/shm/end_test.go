package shm

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// A peer that ends before the announcement of a region has come, of which it has
// told the key, ends the connection: the key was right.
func TestEndBeforeAnnouncement(t *testing.T) {
	// Not parallel: it looks for its own goroutine where it waits.
	waiting := func() bool {
		stacks := make([]byte, 1<<20)
		return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte(".lookUp("))
	}
	for reason, want := range map[error]transport.Status{
		transport.ErrPeerGone:   transport.StatusRetryExceeded,
		transport.ErrPeerClosed: transport.StatusFlushed,
	} {
		h := newHostile(t)
		mr, err := h.domain.Alloc(64, transport.LocalOnly)
		require.NoError(t, err)
		h.half.announced.Store(1)
		posted := make(chan error)
		go func() {
			remote := transport.RemoteSpan{Addr: 1 << 20, Key: 77, Len: 64}
			_, err := h.PostSend([]transport.WorkRequest{transport.Read(7, providerSpan(mr, 64), remote).With(transport.Signaled)})
			posted <- err
		}()
		require.Eventually(t, waiting, time.Minute, time.Millisecond)
		h.Disconnect(reason)
		require.NoError(t, <-posted)
		require.ErrorIs(t, <-h.failed, reason)
		got := h.poll(t)
		require.Len(t, got, 1)
		require.Equal(t, want, got[0].Status)
		mr.Revoke()
		require.NoError(t, mr.Close())
	}
}
