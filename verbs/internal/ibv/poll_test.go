//go:build cgo && linux

package ibv

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

func TestPoll(t *testing.T) {
	t.Parallel()
	o := open(t)
	qp := o.qp(t)
	a, b := spans(t)
	_, err := qp.PostRecv([]transport.WorkRequest{transport.Recv(0, transport.Span{})}, 77)
	require.NoError(t, err)
	_, err = qp.PostSend([]transport.WorkRequest{
		transport.WriteImm(0, a, remote, 0x11223344).WithSecondSpan(b).With(transport.Signaled),
		transport.Send(0, a),
		transport.Read(0, a, remote).With(transport.Signaled),
	}, 10)
	require.NoError(t, err)

	wc := make([]WC, 2, 5)
	n, err := o.cq.Poll(wc[:0], 0)
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = o.cq.Poll(wc, 0)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, WC{WRID: 10, Opcode: WCRDMAWrite, VendorErr: 7, ByteLen: 3000, QPN: 0x100}, wc[0])
	require.Equal(t, uint32(0x11223344), wc[1].Immediate())
	wc[1].Imm = 0
	require.Equal(t, WC{WRID: 77, Opcode: WCRecvRDMAWithImm, VendorErr: 7, ByteLen: 3000, QPN: 0x100, SrcQP: 0x100, WCFlags: WithImm}, wc[1])
	n, err = o.cq.Poll(wc[:5], 0)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, WC{WRID: 12, Opcode: WCRDMARead, VendorErr: 7, ByteLen: 1000, QPN: 0x100}, wc[0])
}

// spins bounds how often the device is asked.
func TestPollSpins(t *testing.T) {
	t.Parallel()
	o := open(t)
	qp := o.qp(t)
	for _, test := range []struct{ empty, spins, found, polls int32 }{
		{0, 0, 1, 1}, {0, 5, 1, 1}, {1, 0, 0, 1}, {1, 1, 1, 2}, {5, 5, 1, 6}, {5, 4, 0, 5}, {1000, 10000, 1, 1001}, {1, -1, 0, 1},
	} {
		require.NoError(t, qp.PostMarker(1))
		o.polls, o.emptyPolls = 0, test.empty
		var wc [1]WC
		n, err := o.cq.Poll(wc[:], int(test.spins))
		require.NoError(t, err)
		require.EqualValues(t, test.found, n, test)
		require.Equal(t, test.polls, o.polls, test)
		if n == 0 {
			o.emptyPolls = 0
			n, err = o.cq.Poll(wc[:], 0)
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
	}
}

func TestPollFails(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.failNext("poll_cq", unix.EIO)
	n, err := o.cq.Poll(make([]WC, 1), 3)
	require.EqualError(t, err, "ibv_poll_cq on fake0: input/output error")
	require.Zero(t, n)
	require.EqualValues(t, 1, o.polls, "an error is no reason to spin")
	o.failNext("req_notify_cq", unix.EIO)
	require.EqualError(t, o.cq.Arm(false), "ibv_req_notify_cq on fake0: input/output error")
}
