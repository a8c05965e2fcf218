package shm

import (
	"context"
	"math/rand/v2"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// hostile is a queue pair whose peer is the test: it holds the peer's half, and
// may write there, and say, what it likes.
type hostile struct {
	*queuePair
	cq     *completionQueue
	owner  transport.Owner
	half   half
	failed chan error

	notified []messageKind
}

// Send drops control messages to the peer.
func (h *hostile) Send([]byte, *transport.File) {}

// Notify records the short ones.
func (h *hostile) Notify(kind byte) { h.notified = append(h.notified, messageKind(kind)) }

// PassesFDs and Exchange are the set-up, with the test at the other end.
func (h *hostile) PassesFDs() bool { return true }

func (h *hostile) Exchange(msg []byte, fds []int) ([]byte, []int, error) {
	if msg == nil {
		return nil, nil, nil
	}
	seg, err := newSegment("hostile", halfBytes(64), false)
	if err != nil {
		return nil, nil, err
	}
	h.half = viewHalf(seg.mem, 64)
	return []byte{0, 0, 0, 64}, []int{seg.file.FD()}, nil
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	a, err := Open(&url.URL{Scheme: "shm"})
	require.NoError(t, err)
	h := &hostile{}
	cq, err := a.NewCQ(transport.CQConfig{Depth: 128, Owner: &h.owner})
	require.NoError(t, err)
	h.cq = cq.(*completionQueue)
	t.Cleanup(func() {
		require.NoError(t, cq.Close())
		require.NoError(t, a.Close())
	})
	h.connect(t, nil)
	return h
}

// sharing makes two more of the same completion queue, which share receives.
func (h *hostile) sharing(t *testing.T) (x, y *hostile, srq *sharedReceiveQueue) {
	made, err := h.adapter.NewSRQ(transport.SRQConfig{Depth: 8, CQ: h.cq})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, made.Close()) })
	x, y = &hostile{cq: h.cq}, &hostile{cq: h.cq}
	x.connect(t, made)
	y.connect(t, made)
	return x, y, made.(*sharedReceiveQueue)
}

// connect makes the queue pair and connects it.
func (h *hostile) connect(t *testing.T, srq transport.SRQ) {
	h.failed = make(chan error, 1)
	pd, err := h.cq.adapter.NewPD()
	require.NoError(t, err)
	qp, err := h.cq.adapter.NewQP(transport.QPConfig{
		PD: pd, SendCQ: h.cq, RecvCQ: h.cq, SRQ: srq, Conn: 1, SendDepth: 64, RecvDepth: 64,
		Owner: new(transport.Owner), Control: h, Drained: func() {},
		Failed: func(err error) { h.failed <- err },
	})
	require.NoError(t, err)
	h.queuePair = qp.(*queuePair)
	require.NoError(t, qp.Connect(context.Background(), h))
	t.Cleanup(func() {
		h.cfg.Owner.Retire() // as the front does
		require.NoError(t, qp.Close())
		require.NoError(t, pd.Close())
	})
}

// message puts a slot into the hostile peer's ring.
func (h *hostile) message(index uint32, s *slot) {
	to := &h.half.slots[index&h.half.mask]
	to.bytes, to.imm, to.kind, to.flags, to.payload = s.bytes, s.imm, s.kind, s.flags, s.payload
	to.sequence.Store(index + 1)
}

func (h *hostile) poll(t *testing.T) []transport.Completion {
	t.Helper()
	require.NoError(t, h.owner.Acquire())
	defer h.owner.Release()
	dst := make([]transport.Completion, 128)
	n, err := h.cq.Poll(dst, 0)
	require.NoError(t, err)
	return dst[:n]
}

// A peer that writes nonsense into its half fails the connection; it reads and
// writes nothing of this process's.
func TestNonsenseInTheRing(t *testing.T) {
	for name, s := range map[string]*slot{
		"unknown kind":                {kind: 99, bytes: 1},
		"too long for a slot":         {kind: slotSendShort, bytes: slotInline + 1},
		"too long for a side buffer":  {kind: slotSendSide, bytes: sideBytes + 1},
		"a region that is not there":  withReferences(500, reference{addr: 1, len: 500, key: 77}),
		"lengths that do not add up":  withReferences(500, reference{}),
		"a length that wraps around":  {kind: slotSendSide, bytes: 1<<32 - 1},
		"longer than the receive":     {kind: slotSendShort, bytes: 48},
		"references of zero, 2^32-1B": withReferences(1<<32-1, reference{}),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t)
			mr, err := h.domain.Alloc(64, transport.LocalOnly)
			require.NoError(t, err)
			_, err = h.PostRecv([]transport.WorkRequest{recvOf(mr, 16)})
			require.NoError(t, err)
			h.message(0, s)
			got := h.poll(t)
			require.Error(t, <-h.failed)
			if len(got) == 0 {
				got = h.poll(t)
			}
			require.NotEmpty(t, got)
			require.NotEqual(t, transport.StatusOK, got[0].Status)
			require.Equal(t, make([]byte, 64), mr.Bytes(), "nothing was written")
			mr.Revoke()
			require.NoError(t, mr.Close())
		})
	}
}

func withReferences(bytes uint32, r reference) *slot {
	s := &slot{kind: slotSendSpans, bytes: bytes}
	s.references()[0] = r
	return s
}

// recvOf is a receive into the first n bytes of a region, as the front would
// hand it over.
func recvOf(mr transport.MR, n int) transport.WorkRequest {
	return transport.Recv(1, provider.SpanAt(pages.Address(mr.Bytes()), n, mr.LKey()))
}

// Whatever control messages say, there is an error or there is none; no panic,
// and no descriptor stays open.
func FuzzControlMessage(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add(announcement{1, transport.RemoteAll, 1 << 30, 4096}.encode(), true)
	f.Add(announcement{1, transport.RemoteAll, 1 << 30, 4096}.encode(), false)
	f.Add([]byte{byte(messageWithdraw), 0, 0, 0, 1}, false)
	f.Add([]byte{byte(messageKick)}, false)
	f.Add([]byte{byte(messageFailed), 200}, true)
	f.Fuzz(func(t *testing.T, msg []byte, withFD bool) {
		h := newHostile(t)
		var fds []int
		if withFD {
			seg, err := newSegment("fuzz", 1<<16, false)
			require.NoError(t, err)
			require.NoError(t, unix.Munmap(seg.mem))
			fds = []int{seg.file.FD()}
		}
		h.Message(msg, fds)
		if withFD {
			_, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0)
			require.ErrorIs(t, err, unix.EBADF, "the descriptor is closed")
		}
	})
}

// A random ring: slots, counters and flags of the peer's half are random bytes.
func TestRandomHalf(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		h := newHostile(t)
		mr, err := h.domain.Alloc(4096, transport.LocalOnly)
		require.NoError(t, err)
		for range 8 {
			_, err = h.PostRecv([]transport.WorkRequest{recvOf(mr, 4096)})
			require.NoError(t, err)
		}
		h.half.acked.Store(r.Uint32())
		h.half.ended.Store(r.Uint32N(2))
		h.half.announced.Store(r.Uint32N(3))
		h.half.receiveBell.Store(r.Uint32())
		h.half.sendBell.Store(r.Uint32())
		for i := range uint32(8) {
			s := &slot{kind: slotKind(r.UintN(6)), bytes: r.Uint32N(400), flags: transport.Flags(r.Uint32())}
			for k := range s.payload {
				s.payload[k] = byte(r.Uint32())
			}
			h.message(i, s)
		}
		for range 3 {
			h.poll(t)
		}
		_, err = h.PostSend([]transport.WorkRequest{transport.Send(1, transport.Span{}).With(transport.Signaled)})
		require.NoError(t, err)
		h.poll(t)
		mr.Revoke()
		require.NoError(t, mr.Close())
	}
}

func TestOpenTakesNoAddress(t *testing.T) {
	_, err := transport.Open("shm://somewhere")
	require.ErrorIs(t, err, transport.ErrInvalid)
	require.ErrorContains(t, err, `write "shm:"`)
	_, err = transport.Open("shm:?seed=1")
	require.ErrorIs(t, err, transport.ErrInvalid)
	require.ErrorContains(t, err, "shm has none")
	_, err = Open(&url.URL{Scheme: "shm", RawQuery: "seed=1"})
	require.ErrorIs(t, err, transport.ErrInvalid)
	require.ErrorContains(t, err, "no parameters")
}
