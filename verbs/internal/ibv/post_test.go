//go:build cgo && linux

package ibv

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

// spans returns a span and a second one, of other regions, as a program gets
// them: there is no other way to make one.
func spans(t testing.TB) (a, b transport.Span) {
	t.Helper()
	device, err := transport.Open("loopback:")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, device.Close()) })
	pd, err := device.NewProtectionDomain()
	require.NoError(t, err)
	var s [2]transport.Span
	for i := range s {
		region, err := pd.Alloc(1<<20, transport.LocalOnly)
		require.NoError(t, err)
		s[i] = region.Span(100*(i+1), 1000*(i+1))
	}
	require.NotEqual(t, s[0].LKey(), s[1].LKey())
	return s[0], s[1]
}

// sge is how the fake writes a span down.
func sge(s transport.Span) string {
	return fmt.Sprintf(" [%#x+%d lkey=%d]", s.Addr(), s.Len(), s.LKey())
}

var remote = transport.RemoteSpan{Addr: 0x123456789abcdef0, Len: 4000, Key: 0xfedcba98}

// Every operation, and every part of a request.
func TestPostSend(t *testing.T) {
	t.Parallel()
	o := open(t)
	qp := o.qp(t)
	a, b := spans(t)
	const (
		to    = " to 0x123456789abcdef0 rkey=0xfedcba98"
		large = 0xf123456789abcdef
	)
	for _, test := range []struct {
		name    string
		request transport.WorkRequest
		want    string
	}{
		{"send", transport.Send(1, a), "SEND" + sge(a)},
		{"send two spans", transport.Send(1, a).WithSecondSpan(b), "SEND" + sge(a) + sge(b)},
		{"send second span", transport.Send(1, a.Slice(0, 0)).WithSecondSpan(b), "SEND" + sge(b)},
		{"send nothing", transport.Send(1, transport.Span{}), "SEND"},
		{"send empty spans", transport.Send(1, a.Slice(3, 0)).WithSecondSpan(b.Slice(3, 0)), "SEND"},
		{"write", transport.Write(1, a, remote), "RDMA_WRITE" + sge(a) + to},
		{"write two spans", transport.Write(1, b, remote).WithSecondSpan(a), "RDMA_WRITE" + sge(b) + sge(a) + to},
		{"write nothing", transport.Write(1, transport.Span{}, transport.RemoteSpan{}), "RDMA_WRITE to 0 rkey=0"},
		{"write-imm", transport.WriteImm(1, a, remote, 0x01020304), "RDMA_WRITE_WITH_IMM" + sge(a) + " imm=01020304" + to},
		{"read", transport.Read(1, a, remote), "RDMA_READ" + sge(a) + to},
		{"read two spans", transport.Read(1, a, remote).WithSecondSpan(b), "RDMA_READ" + sge(a) + sge(b) + to},
		{"fetch-add", transport.FetchAdd(1, a.Slice(0, 8), remote, large), "FETCH_AND_ADD" + sge(a.Slice(0, 8)) + to + fmt.Sprintf(" compare_add=%d swap=0", uint64(large))},
		{"compare-swap", transport.CompareSwap(1, a.Slice(0, 8), remote, large, large-1),
			"CMP_AND_SWP" + sge(a.Slice(0, 8)) + to + fmt.Sprintf(" compare_add=%d swap=%d", uint64(large), uint64(large-1))},
		{"signaled", transport.Send(1, a).With(transport.Signaled), "SEND" + sge(a) + " signaled"},
		{"inline", transport.Send(1, a).With(transport.Inline), "SEND" + sge(a) + " inline"},
		{"fence", transport.Send(1, a).With(transport.Fence), "SEND" + sge(a) + " fence"},
		{"solicited", transport.Send(1, a).With(transport.Solicited), "SEND" + sge(a) + " solicited"},
		{"all flags", transport.WriteImm(1, a, remote, 1<<31).With(transport.Signaled | transport.Inline | transport.Fence | transport.Solicited),
			"RDMA_WRITE_WITH_IMM" + sge(a) + " imm=80000000" + to + " signaled inline fence solicited"},
	} {
		const first = 1<<63 + 5
		n, err := qp.PostSend([]transport.WorkRequest{test.request}, first)
		require.NoError(t, err, test.name)
		require.Equal(t, 1, n, test.name)
		want := "post_send 0x100: 9223372036854775813 " + test.want + "\n"
		require.Empty(t, cmp.Diff(want, strings.ReplaceAll(o.take(), "to 0x0 ", "to 0 ")), test.name)
	}
}

// batch is n requests of distinct lengths, not signaled, and what the fake writes
// down about them.
func batch(a transport.Span, call string, n int, first uint64) (wrs []transport.WorkRequest, want []string) {
	for i := range n {
		s := a.Slice(i, i+1)
		switch call {
		case "post_send":
			wrs = append(wrs, transport.Send(99, s))
			want = append(want, fmt.Sprintf("post_send 0x100: %d SEND%s", first+uint64(i), sge(s)))
		default:
			wrs = append(wrs, transport.Recv(99, s))
			number := "0x100"
			if call == "post_srq_recv" {
				number = "0"
			}
			want = append(want, fmt.Sprintf("%s %s: %d%s", call, number, first+uint64(i), sge(s)))
		}
	}
	return wrs, want
}

// Batches of all lengths, those around the number that fits a chunk in C among
// them; and what was taken when a device refuses one in the middle.
func TestPostBatches(t *testing.T) {
	t.Parallel()
	o := open(t)
	srq, err := o.pd.NewSRQ(100, 2)
	require.NoError(t, err)
	defer srq.Close()
	qp := o.qp(t)
	a, _ := spans(t)
	for call, post := range map[string]func([]transport.WorkRequest, uint64) (int, error){
		"post_send": qp.PostSend, "post_recv": qp.PostRecv, "post_srq_recv": srq.PostRecv,
	} {
		n, err := post(nil, 1)
		require.NoError(t, err)
		require.Zero(t, n)
		for _, size := range []int{1, 2, 31, 32, 33, 64, 65, 100} {
			wrs, want := batch(a, call, size, 1000)
			n, err := post(wrs, 1000)
			require.NoError(t, err)
			require.Equal(t, size, n)
			require.Empty(t, cmp.Diff(lines(want...), o.take()))

			for _, accept := range []int{0, 1, size - 1} {
				o.accept = int32(accept)
				if accept >= min(size, 32) { // the fake counts from the beginning of a chunk
					continue
				}
				o.refusal = int32(unix.ENOMEM)
				n, err = post(wrs, 1000)
				require.Equal(t, ErrFull, err)
				require.Equal(t, accept, n)
				require.Empty(t, cmp.Diff(lines(want[:accept]...), lines(strings.Split(strings.TrimSuffix(o.take(), "\n"), "\n")...)))

				o.refusal = -int32(unix.ENOMEM) // as some drivers have it
				n, err = post(wrs, 1000)
				require.Equal(t, ErrFull, err)
				require.Equal(t, accept, n)

				o.refusal = int32(unix.EINVAL)
				n, err = post(wrs, 1000)
				require.ErrorIs(t, err, unix.EINVAL)
				require.EqualError(t, err, fmt.Sprintf("ibv_%s of request %d of %d, a %v: invalid argument (%d bytes)",
					call, accept+1, size, wrs[0].Op, accept+1))
				require.Equal(t, accept, n)
				o.take()
			}
			o.accept = -1
		}
	}
}

// What is left over from one chunk to the next: a longer batch of another kind
// after it shows nothing of the first.
func TestPostSecondChunkRefused(t *testing.T) {
	t.Parallel()
	o := open(t)
	qp := o.qp(t)
	a, _ := spans(t)
	wrs, _ := batch(a, "post_send", 70, 0)
	wrs[67].Op = transport.OpRecv // in the third chunk, after three good ones
	n, err := qp.PostSend(wrs, 0)
	require.ErrorIs(t, err, unix.EINVAL)
	require.EqualError(t, err, "ibv_post_send of request 68 of 70, a recv: invalid argument (68 bytes)")
	require.Equal(t, 67, n)
	require.Contains(t, o.take(), "post_send 0x100: 66 SEND")
}

func TestPostInvalidOperation(t *testing.T) {
	t.Parallel()
	o := open(t)
	qp := o.qp(t)
	for _, op := range []transport.Op{transport.OpInvalid, transport.OpRecv, transport.OpRecvImm, transport.OpRecvImm + 1, 255} {
		n, err := qp.PostSend([]transport.WorkRequest{{Op: op}, transport.Send(1, transport.Span{})}, 0)
		require.ErrorIs(t, err, unix.EINVAL)
		require.Zero(t, n)
		n, err = qp.PostSend([]transport.WorkRequest{transport.Send(1, transport.Span{}), {Op: op}}, 0)
		require.ErrorIs(t, err, unix.EINVAL)
		require.Equal(t, 1, n)
	}
	require.Equal(t, strings.Repeat("post_send 0x100: 0 SEND\n", 5), o.take())
}

// A device that has the requests in its queue, but could not be told so, names
// none that it did not take: they are its own.
func TestPostWithoutBadRequest(t *testing.T) {
	t.Parallel()
	o := open(t)
	qp := o.qp(t)
	a, _ := spans(t)
	wrs, _ := batch(a, "post_send", 3, 0)
	o.accept, o.refusal, o.noBadWR = 1, int32(unix.EIO), 1
	n, err := qp.PostSend(wrs, 0)
	require.EqualError(t, err, "ibv_post_send of 3 requests, all of them queued: input/output error")
	require.ErrorIs(t, err, unix.EIO)
	require.Equal(t, 3, n)
	o.refusal = int32(unix.ENOMEM)
	n, err = qp.PostSend(wrs, 0)
	require.NotErrorIs(t, err, ErrFull, "the caller must not post them again")
	require.ErrorIs(t, err, unix.ENOMEM)
	require.Equal(t, 3, n)

	o.noBadWR, o.refusal = 2, int32(unix.EINVAL) // it names one that it was not given
	n, err = qp.PostSend(wrs, 0)
	require.ErrorIs(t, err, unix.EINVAL)
	require.Zero(t, n)
}

func TestPostMarker(t *testing.T) {
	t.Parallel()
	o := open(t)
	qp := o.qp(t)
	require.NoError(t, qp.ToError())
	o.take()
	require.NoError(t, qp.PostMarker(1<<64-1))
	require.Equal(t, "post_send 0x100: 18446744073709551615 RDMA_WRITE to 0 rkey=0 signaled\n", o.take())
	var wc [2]WC
	n, err := o.cq.Poll(wc[:], 0)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, WC{WRID: 1<<64 - 1, Status: WCWRFlushErr, Opcode: WCRDMAWrite, VendorErr: 7, QPN: 0x100}, wc[0])
	o.accept, o.refusal = 0, int32(unix.ENOMEM)
	require.Equal(t, ErrFull, qp.PostMarker(1))
	o.refusal = int32(unix.EINVAL)
	require.EqualError(t, qp.PostMarker(1), "ibv_post_send of a marker: invalid argument")
}
