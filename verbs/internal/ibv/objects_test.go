//go:build cgo && linux

package ibv

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestRegMR(t *testing.T) {
	t.Parallel()
	o := open(t)
	mr, err := o.pd.RegMR(mapped(t, 8192)[:5000], AccessLocalWrite|AccessRemoteRead)
	require.NoError(t, err)
	require.EqualValues(t, 0x1001, mr.LKey)
	require.EqualValues(t, 0x2001, mr.RKey)
	require.Equal(t, "reg_mr 5000 bytes access=5\n", o.take())
	require.NoError(t, mr.Close())
}

// What the kernel does not want to pin is most likely a matter of the limit.
func TestMemlock(t *testing.T) {
	t.Parallel()
	o := open(t)
	for call, test := range map[string]struct {
		message string
		make    func() error
	}{
		"ibv_reg_mr":     {"ibv_reg_mr of 4096 bytes", func() error { return second(o.pd.RegMR(mapped(t, 4096), 0)) }},
		"ibv_create_cq":  {"ibv_create_cq with 7 entries on fake0", func() error { return second(o.context.NewCQ(7, nil)) }},
		"ibv_create_srq": {"ibv_create_srq with 7 receives of 2 spans on fake0", func() error { return second(o.pd.NewSRQ(7, 2)) }},
		"ibv_create_qp": {"ibv_create_qp for 1 sends and 2 receives of 3 spans, 4 bytes inline, on fake0", func() error {
			return second(o.pd.NewQP(QPInit{SendCQ: o.cq, RecvCQ: o.cq, SendDepth: 1, RecvDepth: 2, SGEs: 3, InlineBytes: 4}))
		}},
	} {
		o.failNext(call, unix.ENOMEM)
		err := test.make()
		require.ErrorIs(t, err, unix.ENOMEM)
		require.EqualError(t, err, test.message+": cannot allocate memory (locked memory is limited to "+memlock()+": raise `ulimit -l`, or give the process CAP_IPC_LOCK)")
		o.failNext(call, unix.EINVAL)
		require.EqualError(t, test.make(), test.message+": invalid argument")
	}
	require.Regexp(t, `^(unlimited|\d+ KiB)$`, memlock())
	require.Equal(t, "64 KiB", limitText(65536))
	require.Equal(t, "unlimited", limitText(unix.RLIM_INFINITY))
}

func TestMakingFails(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.failNext("ibv_alloc_pd", unix.ENOMEM)
	_, err := o.context.AllocPD()
	require.EqualError(t, err, "ibv_alloc_pd on fake0: cannot allocate memory")
	o.failNext("ibv_create_comp_channel", unix.EMFILE)
	_, err = o.context.NewChannel()
	require.EqualError(t, err, "ibv_create_comp_channel on fake0: too many open files")
	o.take()
	for _, depth := range []int{-1, 0, 1<<32 + 1} {
		_, err = o.context.NewCQ(depth, nil)
		require.ErrorIs(t, err, unix.EINVAL)
		_, err = o.pd.NewSRQ(depth, 1)
		require.ErrorIs(t, err, unix.EINVAL)
		_, err = o.pd.NewSRQ(1, depth)
		require.ErrorIs(t, err, unix.EINVAL)
	}
	for _, init := range []QPInit{{SendDepth: -1}, {RecvDepth: 1 << 32}, {SGEs: -1}, {InlineBytes: 1 << 31}} {
		init.SendCQ, init.RecvCQ = o.cq, o.cq
		_, err = o.pd.NewQP(init)
		require.ErrorIs(t, err, unix.EINVAL)
	}
	require.Empty(t, o.take(), "asked the library")
}

func TestQueuesGetWhatWasAsked(t *testing.T) {
	t.Parallel()
	o := open(t)
	cq, err := o.context.NewCQ(100, nil)
	require.NoError(t, err)
	defer cq.Close()
	srq, err := o.pd.NewSRQ(200, 2)
	require.NoError(t, err)
	defer srq.Close()
	qp, err := o.pd.NewQP(QPInit{SendCQ: o.cq, RecvCQ: cq, SendDepth: 10, RecvDepth: 20, SGEs: 2, InlineBytes: 60})
	require.NoError(t, err)
	require.NoError(t, qp.Close())
	require.Equal(t, []any{11, 22, 64, uint32(0x100)}, []any{qp.SendDepth, qp.RecvDepth, qp.InlineBytes, qp.QPN})
	qp, err = o.pd.NewQP(QPInit{SendCQ: o.cq, RecvCQ: cq, SRQ: srq, SendDepth: 10, RecvDepth: 20, SGEs: 2})
	require.NoError(t, err)
	require.NoError(t, qp.Close())
	require.Equal(t, lines(
		"create_cq 100 vector=0",
		"create_srq max_wr=200 max_sge=2 srq_limit=0",
		"create_qp type=2 sq_sig_all=0 max_send_wr=10 max_recv_wr=20 max_send_sge=2 max_recv_sge=2 max_inline_data=60",
		"destroy_qp",
		"create_qp type=2 sq_sig_all=0 srq max_send_wr=10 max_recv_wr=0 max_send_sge=2 max_recv_sge=0 max_inline_data=0",
		"destroy_qp",
	), o.take())
}

func TestStates(t *testing.T) {
	t.Parallel()
	o := open(t)
	qp := o.qp(t)
	require.NoError(t, qp.ToInit(1, AccessRemoteRead|AccessRemoteWrite|AccessRemoteAtomic))
	rtr := RTR{
		MTU: 1024, DestQPN: 0x123456, PSN: 0xabcdef, MaxDestRdAtomic: 16, MinRNRTimer: 12, Port: 1, SGIDIndex: 3,
		DGID: [16]byte{10: 0xff, 11: 0xff, 12: 10, 13: 9, 14: 0, 15: 2}, DLID: 0x4321, SL: 5, TrafficClass: 106, HopLimit: 64, Global: true,
	}
	require.NoError(t, qp.ToRTR(rtr))
	require.NoError(t, qp.ToRTS(RTS{PSN: 0x654321, MaxRdAtomic: 8, Timeout: 14, RetryCount: 7, RNRRetry: 6}))
	got, err := qp.Query()
	require.NoError(t, err)
	require.Equal(t, QPState{
		State: StateRTS, RQPSN: 0xabcdef, SQPSN: 0x654321, DestQPN: 0x123456, MTU: 1024, Access: 14, MaxRdAtomic: 8, MaxDestRdAtomic: 16,
		MinRNRTimer: 12, Timeout: 14, RetryCount: 7, RNRRetry: 6, Port: 1, SGIDIndex: 3, DGID: rtr.DGID,
	}, got)
	rtr.Global, rtr.MTU = false, 4096
	require.NoError(t, qp.ToRTR(rtr))
	require.NoError(t, qp.ToError())
	require.Equal(t, lines(
		"modify_qp 0x100 state=1 pkey_index=0 port=1 access=14",
		"modify_qp 0x100 state=2 mtu=3 dest=1193046 rq_psn=11259375 max_dest_rd_atomic=16 min_rnr_timer=12 av: dlid=17185 sl=5 port=1"+
			" dgid=00000000000000000000ffff0a090002 sgid_index=3 hop_limit=64 traffic_class=106 flow_label=0",
		"modify_qp 0x100 state=3 timeout=14 retry_cnt=7 rnr_retry=6 sq_psn=6636321 max_rd_atomic=8",
		"modify_qp 0x100 state=2 mtu=5 dest=1193046 rq_psn=11259375 max_dest_rd_atomic=16 min_rnr_timer=12 av: dlid=17185 sl=5 port=1",
		"modify_qp 0x100 state=6",
	), o.take())
}

func TestStatesFail(t *testing.T) {
	t.Parallel()
	o := open(t)
	qp := o.qp(t)
	for _, mtu := range []int{0, 1, 128, 1500, 8192} {
		require.ErrorIs(t, qp.ToRTR(RTR{MTU: mtu}), unix.EINVAL)
	}
	for field, rtr := range map[string]RTR{
		"MaxDestRdAtomic": {MaxDestRdAtomic: 256}, "MinRNRTimer": {MinRNRTimer: 256}, "Port": {Port: -1}, "SGIDIndex": {SGIDIndex: 256},
		"SL": {SL: 256}, "TrafficClass": {TrafficClass: 256}, "HopLimit": {HopLimit: 256},
	} {
		rtr.MTU = 256
		require.ErrorContains(t, qp.ToRTR(rtr), field)
	}
	for field, rts := range map[string]RTS{
		"MaxRdAtomic": {MaxRdAtomic: 256}, "Timeout": {Timeout: 256}, "RetryCount": {RetryCount: -1}, "RNRRetry": {RNRRetry: 256},
	} {
		require.ErrorContains(t, qp.ToRTS(rts), field)
	}
	require.ErrorContains(t, qp.ToInit(256, 0), "port 256")
	require.Empty(t, o.take(), "asked the library")

	o.failNext("ibv_modify_qp", unix.ETIMEDOUT)
	require.EqualError(t, qp.ToInit(1, 0), "ibv_modify_qp of 256 on fake0 to init: connection timed out")
	require.EqualError(t, qp.ToRTR(RTR{MTU: 256}), "ibv_modify_qp of 256 on fake0 to ready-to-receive: connection timed out")
	require.EqualError(t, qp.ToRTS(RTS{}), "ibv_modify_qp of 256 on fake0 to ready-to-send: connection timed out")
	require.EqualError(t, qp.ToError(), "ibv_modify_qp of 256 on fake0 to error: connection timed out")
	o.failNext("ibv_query_qp", unix.EIO)
	_, err := qp.Query()
	require.EqualError(t, err, "ibv_query_qp of 256 on fake0: input/output error")
}
