//go:build cgo && linux

package ibv

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestQueryDevice(t *testing.T) {
	t.Parallel()
	o := open(t)
	got, err := o.context.QueryDevice()
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(DeviceAttr{
		Firmware: "1.2.3", MaxMRSize: 1 << 40, VendorID: 5, VendorPartID: 6, MaxQP: 8, MaxQPWR: 9, MaxSGE: 11, MaxCQ: 13, MaxCQE: 14,
		MaxMR: 15, MaxPD: 16, MaxQPRdAtom: 17, MaxQPInitRdAtom: 20, AtomicCap: 2, MaxSRQ: 23, MaxSRQWR: 24, MaxSRQSGE: 25, PhysPorts: 28,
	}, got))
	o.failNext("ibv_query_device", unix.EIO)
	_, err = o.context.QueryDevice()
	require.EqualError(t, err, "ibv_query_device of fake0: input/output error")
}

func TestQueryPort(t *testing.T) {
	t.Parallel()
	o := open(t)
	got, err := o.context.QueryPort(1)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(PortAttr{
		State: PortActive, PhysState: 5, MaxMTU: 4096, ActiveMTU: 1024, GIDTableLen: 4, MaxMessage: 1 << 31, LID: 0x1234, LinkLayer: LinkLayerEthernet,
	}, got))
	require.Equal(t, "active", got.State.String())
	require.Equal(t, "state 9", PortState(9).String())
	require.Equal(t, "state -1", PortState(-1).String())
	_, err = o.context.QueryPort(2)
	require.EqualError(t, err, "ibv_query_port of fake0, port 2: invalid argument")
	for _, port := range []int{-1, 256, 257} {
		_, err = o.context.QueryPort(port)
		require.ErrorIs(t, err, unix.EINVAL)
		require.ErrorContains(t, err, "port")
	}
}

func TestGIDs(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.context.library.sysfs = t.TempDir()
	attributes := filepath.Join(o.context.library.sysfs, "fake0", "ports", "1", "gid_attrs")
	for file, text := range map[string]string{"types/0": "IB/RoCE v1\n", "types/2": "RoCE v2\n", "ndevs/2": "eth0\n"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(attributes, file)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(attributes, file), []byte(text), 0o644))
	}
	got, err := o.context.GIDs(1)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]GID{
		{Index: 0, Addr: [16]byte{0: 0xfe, 1: 0x80, 15: 1}, Type: "IB/RoCE v1"},
		{Index: 2, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 10, 13: 9, 15: 1, 14: 0}, Type: "RoCE v2", Interface: "eth0"},
	}, got))
	_, err = o.context.GIDs(2)
	require.ErrorContains(t, err, "ibv_query_port of fake0, port 2")
	o.failNext("ibv_query_gid", unix.EPERM)
	_, err = o.context.GIDs(1)
	require.EqualError(t, err, "ibv_query_gid of fake0, port 1, index 3: operation not permitted")
}

// The library would free what the objects point to.
func TestCloseWithObjects(t *testing.T) {
	t.Parallel()
	l, c := fake(t, nil)
	ctx, err := l.open("fake0")
	require.NoError(t, err)
	pd, err := ctx.AllocPD()
	require.NoError(t, err)
	mr, err := pd.RegMR(mapped(t, 4096), AccessLocalWrite)
	require.NoError(t, err)
	ch, err := ctx.NewChannel()
	require.NoError(t, err)
	cq, err := ctx.NewCQ(10, ch)
	require.NoError(t, err)
	srq, err := pd.NewSRQ(10, 1)
	require.NoError(t, err)
	qp, err := pd.NewQP(QPInit{SendCQ: cq, RecvCQ: cq, SRQ: srq, SendDepth: 1})
	require.NoError(t, err)

	err = ctx.Close()
	require.ErrorIs(t, err, unix.EBUSY)
	require.EqualError(t, err, "closing fake0: 6 objects made from it are still open: device or resource busy")
	err = pd.Close()
	require.ErrorIs(t, err, unix.EBUSY)
	require.EqualError(t, err, "ibv_dealloc_pd on fake0: device or resource busy: close what was made from it first")

	c.take()
	for _, object := range []interface{ Close() error }{qp, srq, ch, cq, mr, pd, ctx} {
		require.ErrorIs(t, ctx.Close(), unix.EBUSY)
		if object != ctx {
			require.NoError(t, object.Close())
			require.NoError(t, object.Close(), "closing twice")
		}
		if object == pd {
			break
		}
	}
	c.failNext("ibv_close_device", unix.EIO)
	require.EqualError(t, ctx.Close(), "ibv_close_device of fake0: input/output error")
	c.failNext("", 0)
	require.NoError(t, ctx.Close())
	require.NoError(t, ctx.Close(), "closing twice")
	require.Equal(t, lines("destroy_qp", "destroy_srq", "destroy_cq", "destroy_comp_channel", "dereg_mr", "dealloc_pd", "close_device", "close_device"), c.take())
}

// A close that failed can be repeated.
func TestCloseFails(t *testing.T) {
	t.Parallel()
	o := open(t)
	mr, err := o.pd.RegMR(mapped(t, 4096), 0)
	require.NoError(t, err)
	cq, err := o.context.NewCQ(1, nil)
	require.NoError(t, err)
	srq, err := o.pd.NewSRQ(1, 1)
	require.NoError(t, err)
	for _, test := range []struct {
		object  interface{ Close() error }
		call    string
		message string
	}{
		{mr, "ibv_dereg_mr", "ibv_dereg_mr of 4096 bytes: input/output error"},
		{cq, "ibv_destroy_cq", "ibv_destroy_cq on fake0: input/output error"},
		{srq, "ibv_destroy_srq", "ibv_destroy_srq on fake0: input/output error"},
		{o.qp(t), "ibv_destroy_qp", "ibv_destroy_qp of 256 on fake0: input/output error"},
	} {
		o.failNext(test.call, unix.EIO)
		require.EqualError(t, test.object.Close(), test.message)
		o.failNext("", 0)
		o.take()
		require.NoError(t, test.object.Close())
		require.NotEmpty(t, o.take(), "%s was not repeated", test.call)
	}
}
