package loopback_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

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
