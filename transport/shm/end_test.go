package shm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// early is a region of the peer's that it has told the key of, before its announcement.
var early = transport.RemoteSpan{Addr: 1 << 20, Key: 77, Len: 64}

// announceEarly has the announcement come.
func (h *hostile) announceEarly(t *testing.T) *segment {
	seg, err := newSegment("late", 2*pageSize, false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, seg.close()) })
	copy(seg.mem, "it came")
	h.Message(announcement{uint32(early.Key), transport.RemoteRead | transport.RemoteWrite, early.Addr, 64}.encode(), []int{dup(t, seg.file.FD())})
	return seg
}

// post posts requests as the front does.
func (h *hostile) post(t *testing.T, wrs ...transport.WorkRequest) {
	t.Helper()
	require.NoError(t, h.cfg.Owner.Acquire())
	defer h.cfg.Owner.Release()
	n, err := h.PostSend(wrs)
	require.NoError(t, err)
	require.Len(t, wrs, n)
}

func (h *hostile) alloc(t *testing.T, size int) transport.MR {
	mr, err := h.domain.Alloc(size, transport.LocalOnly)
	require.NoError(t, err)
	t.Cleanup(func() {
		mr.Revoke()
		require.NoError(t, mr.Close())
	})
	return mr
}

// A peer that ends before the announcement of a region has come, of which it has
// told the key, ends the connection: the key was right.
func TestEndBeforeAnnouncement(t *testing.T) {
	t.Parallel()
	for reason, want := range map[error]transport.Status{
		transport.ErrPeerGone:   transport.StatusRetryExceeded,
		transport.ErrPeerClosed: transport.StatusFlushed,
	} {
		h := newHostile(t)
		mr := h.alloc(t, 64)
		h.half.announced.Store(1)
		h.post(t, transport.Read(7, provider.SpanAt(pages.Address(mr.Bytes()), 64, mr.LKey()), early).With(transport.Signaled))
		require.Empty(t, h.poll(t))
		h.Disconnect(reason)
		require.ErrorIs(t, <-h.failed, reason)
		var got []transport.Completion
		require.Eventually(t, func() bool { got = append(got, h.poll(t)...); return len(got) > 0 }, time.Minute, time.Millisecond)
		require.Len(t, got, 1)
		require.Equal(t, want, got[0].Status)
	}
}

// The announcement of a region, of which the peer has told the key, comes after it was
// used: the request waits for it, and those behind it, and nobody else.
func TestAnnouncementAfterUse(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	mr := h.alloc(t, 64)
	local := func(off, n int) transport.Span { return provider.SpanAt(pages.Address(mr.Bytes()[off:]), n, mr.LKey()) }
	h.half.announced.Store(1)
	copy(mr.Bytes()[32:], "inline")
	at := early
	at.Addr += 8
	h.post(t,
		transport.Read(7, local(0, 8), early).With(transport.Signaled),
		transport.Write(8, local(32, 6), at).With(transport.Signaled|transport.Inline),
		transport.Send(9, local(0, 7)))
	copy(mr.Bytes()[32:], "XXXXXX") // the program's again
	for range h.cfg.SendDepth - 3 {
		h.post(t, transport.Send(10, transport.Span{}))
	}
	_, err := h.PostSend([]transport.WorkRequest{transport.Send(11, transport.Span{})})
	require.ErrorIs(t, err, transport.ErrQueueFull, "what waits occupies the queue")
	require.Empty(t, h.poll(t))
	require.Zero(t, h.own.slots[0].sequence.Load(), "what was posted later does not overtake")

	seg := h.announceEarly(t)
	got := h.poll(t)
	require.Len(t, got, 2)
	for i, c := range got {
		require.Equal(t, transport.Completion{ID: uint64(7 + i), Conn: 1, Op: c.Op}, c)
	}
	require.Equal(t, "it came", string(mr.Bytes()[:7]))
	require.Equal(t, "inline", string(seg.mem[8:14]))
	s := &h.own.slots[0]
	require.EqualValues(t, 1, s.sequence.Load())
	require.Equal(t, "it came", string(s.payload[:s.bytes]))
	require.EqualValues(t, h.cfg.SendDepth-2, h.send.messages)
}

// An atomic in a region whose announced base is not aligned is refused.
func TestUnalignedBase(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	mr := h.alloc(t, 64)
	h.half.announced.Store(1)
	seg, err := newSegment("unaligned", pageSize+pageSize, false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, seg.close()) })
	h.Message(announcement{uint32(early.Key), transport.RemoteAtomic, early.Addr - 4, 64}.encode(), []int{dup(t, seg.file.FD())})
	h.post(t, transport.FetchAdd(7, provider.SpanAt(pages.Address(mr.Bytes()), 8, mr.LKey()), early, 1))
	require.Equal(t, transport.StatusRemoteInvalidRequest, h.poll(t)[0].Status)
}

// A local region that is closed while its request waits is touched no more.
func TestClosedWhileItWaits(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	mr, err := h.domain.Alloc(64, transport.LocalOnly)
	require.NoError(t, err)
	h.half.announced.Store(1)
	h.post(t, transport.Read(7, provider.SpanAt(pages.Address(mr.Bytes()), 64, mr.LKey()), early))
	mr.Revoke()
	require.NoError(t, mr.Close())
	h.announceEarly(t)
	require.ErrorContains(t, <-h.failed, "local protection error")
	require.Equal(t, transport.StatusLocalProtection, h.poll(t)[0].Status)
}

// Closing does not wait for what was promised.
func TestCloseWhileItWaits(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.half.announced.Store(1)
	mr := h.alloc(t, 64)
	h.post(t, transport.Read(7, provider.SpanAt(pages.Address(mr.Bytes()), 64, mr.LKey()), early))
	require.True(t, h.cfg.Owner.Retire())
	require.NoError(t, h.Close())
	require.Equal(t, transport.StatusFlushed, h.poll(t)[0].Status)
}

// A request that fails does not take messages with it that were posted before and wait for
// a receive of the peer's, whether the program polls or not; what comes after it is flushed.
func TestFailsInItsTurn(t *testing.T) {
	t.Parallel()
	for _, polls := range []bool{true, false} {
		h := newHostile(t)
		mr := h.alloc(t, 64)
		h.post(t,
			transport.Send(1, transport.Span{}).With(transport.Signaled),
			transport.Read(2, provider.SpanAt(pages.Address(mr.Bytes()), 64, mr.LKey()), early),
			transport.Send(3, transport.Span{}))
		h.post(t, transport.Send(4, transport.Span{}).With(transport.Signaled))
		require.Empty(t, h.poll(t))
		require.Empty(t, h.failed)
		h.half.acked.Store(1)
		if polls {
			var got []transport.Status
			for len(got) < 4 {
				for _, c := range h.poll(t) {
					got = append(got, c.Status)
					require.EqualValues(t, len(got), c.ID)
				}
			}
			require.Equal(t, []transport.Status{transport.StatusOK, transport.StatusRemoteAccess, transport.StatusFlushed, transport.StatusFlushed}, got)
			require.NotEmpty(t, h.failed, "before the program sees the completion")
		}
		require.ErrorContains(t, <-h.failed, "read (request 2): remote access error")
		require.EqualValues(t, 1, h.send.messages)
	}
}
