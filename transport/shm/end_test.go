package shm

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

// A peer that ends before the announcement of a region has come, of which it has
// told the key, ends the connection: the key was right.
func TestEndBeforeAnnouncement(t *testing.T) { // not parallel: see postEarly
	for reason, want := range map[error]transport.Status{
		transport.ErrPeerGone:   transport.StatusRetryExceeded,
		transport.ErrPeerClosed: transport.StatusFlushed,
	} {
		h := newHostile(t)
		mr, err := h.domain.Alloc(64, transport.LocalOnly)
		require.NoError(t, err)
		posted := h.postEarly(t, mr)
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

// The announcement of a region, of which the peer has told the key, comes after it was
// used: the request waits for it.
func TestAnnouncementAfterUse(t *testing.T) { // not parallel: see postEarly
	h := newHostile(t)
	mr, err := h.domain.Alloc(64, transport.LocalOnly)
	require.NoError(t, err)
	posted := h.postEarly(t, mr)
	seg, err := newSegment("late", 2*pageSize, false)
	require.NoError(t, err)
	defer seg.close()
	copy(seg.mem, "it came")
	fd, err := unix.FcntlInt(uintptr(seg.fd), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	h.Message(announcement{uint32(early.Key), transport.RemoteRead, early.Addr, 64}.encode(), []int{fd})
	require.NoError(t, <-posted)
	got := h.poll(t)
	require.Len(t, got, 1)
	require.Equal(t, transport.StatusOK, got[0].Status)
	require.Equal(t, "it came", string(mr.Bytes()[:7]))
	mr.Revoke()
	require.NoError(t, mr.Close())
}

// early is a region of the peer's that it has told the key of.
var early = transport.RemoteSpan{Addr: 1 << 20, Key: 77, Len: 64}

// postEarly posts a Read of it, and returns when that waits for the announcement. The
// test must not be parallel: this looks for the goroutine that waits.
func (h *hostile) postEarly(t *testing.T, mr transport.MR) (posted chan error) {
	h.half.announced.Store(1)
	posted = make(chan error, 1)
	go func() {
		_, err := h.PostSend([]transport.WorkRequest{transport.Read(7, providerSpan(mr, 64), early).With(transport.Signaled)})
		posted <- err
	}()
	stacks := make([]byte, 1<<20)
	require.Eventually(t, func() bool {
		return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte(".lookUp("))
	}, time.Minute, time.Millisecond)
	return posted
}
