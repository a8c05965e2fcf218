package loopback_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

func TestSend(t *testing.T) {
	t.Parallel()
	a, b := pairtest.New(t, "loopback:")
	from, to := a.Alloc(100, transport.LocalOnly), b.Alloc(100, transport.LocalOnly)
	copy(from.Bytes(), "hello, there")
	b.Recv(transport.Recv(1, to.Span(0, 3)).WithSecondSpan(to.Span(50, 20)))
	a.Post(transport.Send(2, from.Span(0, 5)).WithSecondSpan(from.Span(7, 4)).With(transport.Signaled))
	require.Equal(t, []transport.Completion{{ID: 2, Conn: a.Conn.ID(), Op: transport.OpSend}}, a.Take(1))
	require.Equal(t, []transport.Completion{{ID: 1, Conn: b.Conn.ID(), Op: transport.OpRecv, Bytes: 9}}, b.Take(1))
	require.Equal(t, "hel", string(to.Bytes()[:3]))
	require.Equal(t, "lother\x00", string(to.Bytes()[50:57]))
}

func TestWriteImmediate(t *testing.T) {
	t.Parallel()
	a, b := pairtest.New(t, "loopback:")
	from, to := a.Alloc(100, transport.LocalOnly), b.Alloc(100, transport.RemoteWrite)
	copy(from.Bytes(), "hello, there")
	b.Recv(transport.Recv(1, transport.Span{}))
	a.Post(transport.WriteImm(2, from.Span(0, 5), to.Remote(3, 9), 7).WithSecondSpan(from.Span(7, 4)).With(transport.Signaled))
	require.Equal(t, []transport.Completion{{ID: 2, Conn: a.Conn.ID(), Op: transport.OpWriteImm}}, a.Take(1))
	require.Equal(t, []transport.Completion{{ID: 1, Conn: b.Conn.ID(), Op: transport.OpRecvImm, Bytes: 9, Imm: 7, HasImm: true}}, b.Take(1))
	require.Equal(t, "hellother", string(to.Bytes()[3:12]))
}

func TestWriteThenRead(t *testing.T) {
	t.Parallel()
	a, b := pairtest.New(t, "loopback:")
	mine, theirs := a.Alloc(100, transport.LocalOnly), b.Alloc(100, transport.RemoteRead|transport.RemoteWrite)
	copy(mine.Bytes(), "0123456789")
	a.Post(
		transport.Write(1, mine.Span(0, 10), theirs.Remote(20, 10)),
		transport.Read(2, mine.Span(50, 2), theirs.Remote(22, 5)).WithSecondSpan(mine.Span(60, 3)).With(transport.Signaled|transport.Fence),
	)
	require.Equal(t, []transport.Completion{{ID: 2, Conn: a.Conn.ID(), Op: transport.OpRead}}, a.Take(1))
	require.Equal(t, "23\x00", string(mine.Bytes()[50:53]))
	require.Equal(t, "456\x00", string(mine.Bytes()[60:64]))
	b.Nothing()
}

func TestAtomics(t *testing.T) {
	t.Parallel()
	a, b := pairtest.New(t, "loopback:")
	result, word := a.Alloc(100, transport.LocalOnly), b.Alloc(100, transport.RemoteAtomic)
	word.Uint64(8).Store(40)
	at := word.Remote(8, 8)
	a.Post(
		transport.FetchAdd(1, result.Span(0, 8), at, 2),
		transport.CompareSwap(2, result.Span(8, 8), at, 41, 1000), // does not match
		transport.CompareSwap(3, result.Span(17, 8), at, 42, 7),
		transport.FetchAdd(4, result.Span(32, 8), at, ^uint64(0)).With(transport.Signaled),
	)
	a.Take(1)
	former := func(off int) uint64 { return binary.NativeEndian.Uint64(result.Bytes()[off:]) }
	require.EqualValues(t, []uint64{40, 42, 42, 7}, []uint64{former(0), former(8), former(17), former(32)})
	require.EqualValues(t, 6, word.Uint64(8).Load())
}

// TestWaitForReceive: a Send without a receive holds up everything behind it,
// and all of it goes on in order when one is posted.
func TestWaitForReceive(t *testing.T) {
	t.Parallel()
	a, b := pairtest.New(t, "loopback:")
	from, to := a.Alloc(8, transport.LocalOnly), b.Alloc(8, transport.RemoteWrite)
	copy(from.Bytes(), "12345678")
	a.Post(
		transport.Send(1, from.Span(0, 1)).With(transport.Signaled),
		transport.Write(2, from.Span(7, 1), to.Remote(7, 1)).With(transport.Signaled),
		transport.WriteImm(3, from.Span(1, 1), to.Remote(1, 1), 0).With(transport.Signaled),
	)
	a.Nothing()
	b.Recv(transport.Recv(10, to.Span(0, 1)))
	require.Equal(t, []uint64{1, 2}, pairtest.IDs(a.Take(2)))
	a.Nothing()
	require.Equal(t, "1\x00\x00\x00\x00\x00\x008", string(to.Bytes()))
	b.Recv(transport.Recv(11, transport.Span{}))
	require.Equal(t, []uint64{3}, pairtest.IDs(a.Take(1)))
	require.Equal(t, []uint64{10, 11}, pairtest.IDs(b.Take(2)))
	require.Equal(t, "12", string(to.Bytes()[:2]))
}

func TestNoAllocations(t *testing.T) {
	a, b := pairtest.New(t, "loopback:")
	from, to := a.Alloc(4096, transport.RemoteAll), b.Alloc(4096, transport.RemoteAll)
	var cs [4]transport.Completion
	round := func() {
		b.Conn.PostRecv(transport.Recv(1, to.Span(0, 64)), transport.Recv(2, transport.Span{}))
		a.Conn.Post(
			transport.Send(1, from.Span(0, 64)).With(transport.Inline),
			transport.Read(2, from.Span(64, 64), to.Remote(64, 64)),
			transport.FetchAdd(3, from.Span(0, 8), to.Remote(0, 8), 1),
			transport.WriteImm(4, from.Span(0, 4096), to.Remote(0, 4096), 1).With(transport.Signaled),
		)
		a.Queue.Poll(cs[:])
		b.Queue.Poll(cs[:])
	}
	require.Zero(t, testing.AllocsPerRun(100, round))
	require.Equal(t, transport.StatusOK, cs[0].Status)
}
