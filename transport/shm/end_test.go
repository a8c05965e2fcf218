package shm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// A peer that ends before the announcement of a region has come, of which it has
// told the key, ends the connection: the key was right.
func TestEndBeforeAnnouncement(t *testing.T) {
	t.Parallel()
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
		time.Sleep(time.Millisecond) // usually it waits by then
		h.Disconnect(reason)
		require.NoError(t, <-posted)
		require.ErrorIs(t, <-h.failed, reason)
		got := h.poll(t)
		require.Len(t, got, 1)
		if got[0].Status != transport.StatusFlushed { // it was posted after the end
			require.Equal(t, want, got[0].Status)
		}
		mr.Revoke()
		require.NoError(t, mr.Close())
	}
}
