//go:build cgo && linux

package ibv

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestLibraryMissing(t *testing.T) {
	t.Parallel()
	_, err := openLibrary("libibverbs-that-is-not-there.so.1")
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "libibverbs is not installed: install Debian/Ubuntu packages libibverbs1 and ibverbs-providers, Fedora libibverbs (libibverbs-that-is-not-there.so.1: cannot open shared object file")
}

// A library that is another one, or too old.
func TestLibraryWithoutAFunction(t *testing.T) {
	t.Parallel()
	_, err := openLibrary("libc.so.6")
	require.NotErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "ibv_fork_init")
}

func TestForkNote(t *testing.T) {
	t.Parallel()
	l, _ := fake(t, nil)
	require.Empty(t, l.forkNote)
	l, _ = fake(t, func(c *control) { c.forkInit = int32(unix.ENOSYS) })
	require.Contains(t, l.forkNote, "ibv_fork_init: function not implemented: ")
}

func TestDevices(t *testing.T) {
	t.Parallel()
	l, c := fake(t, func(c *control) { c.devices = 2 })
	devices, err := l.devices()
	require.NoError(t, err)
	require.Equal(t, []Device{{"fake0", 0x0002c90300112200, "CA"}, {"fake1", 0x0002c90300112201, "RNIC"}}, devices)

	c.devices = 20
	devices, err = l.devices()
	require.NoError(t, err)
	require.Len(t, devices, 20)
	require.Equal(t, "fake19", devices[19].Name)

	c.devices = 0
	devices, err = l.devices()
	require.NoError(t, err)
	require.Empty(t, devices)

	c.devices = -int32(unix.ENOSYS)
	devices, err = l.devices()
	require.NoError(t, err, "a kernel without InfiniBand has no devices")
	require.Empty(t, devices)

	c.devices = -int32(unix.EACCES)
	_, err = l.devices()
	require.ErrorIs(t, err, unix.EACCES)
	require.EqualError(t, err, "ibv_get_device_list: permission denied")

	c.devices, c.scramble = 1, name("ibv_get_device_name")
	_, err = l.devices()
	require.ErrorIs(t, err, unix.EPROTONOSUPPORT)
	require.ErrorContains(t, err, "layout")
}

func TestOpenUnknownDevice(t *testing.T) {
	t.Parallel()
	l, c := fake(t, func(c *control) { c.devices = 2 })
	_, err := l.open("mlx5_0")
	require.ErrorIs(t, err, unix.ENODEV)
	require.EqualError(t, err, `RDMA device "mlx5_0": no such device: there is fake0, fake1`)
	c.devices = 0
	_, err = l.open("mlx5_0")
	require.EqualError(t, err, `RDMA device "mlx5_0": no such device: there is none on this machine`)
	c.devices = -int32(unix.EACCES)
	_, err = l.open("mlx5_0")
	require.ErrorIs(t, err, unix.EACCES)
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	l, c := fake(t, nil)
	c.failNext("ibv_open_device", unix.EACCES)
	_, err := l.open("fake0")
	require.ErrorIs(t, err, unix.EACCES)
	require.ErrorContains(t, err, "ibv_open_device of fake0: permission denied (does this process have its /dev/infiniband/uverbs*")
	c.failNext("ibv_open_device", 0)
	_, err = l.open("fake0")
	require.ErrorIs(t, err, unix.EIO, "no object and no reason is an error, too")
}

// The second device, not just any.
func TestOpenByName(t *testing.T) {
	t.Parallel()
	l, control := fake(t, func(c *control) { c.devices = 3 })
	c, err := l.open("fake1")
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close(), "closing twice")
	require.Equal(t, lines("open_device fake1", "close_device"), control.take())
}

// A library with another layout is noticed before it is used.
func TestUnknownLayout(t *testing.T) {
	t.Parallel()
	for _, what := range []string{
		"device", "poll_cq", "req_notify_cq", "post_srq_recv", "post_send", "post_recv", "num_comp_vectors", "cmd_fd", "async_fd",
	} {
		l, _ := fake(t, func(c *control) { c.scramble = name(what) })
		_, err := l.open("fake0")
		require.ErrorIs(t, err, unix.EPROTONOSUPPORT, what)
		require.ErrorContains(t, err, "ibv_open_device of fake0: protocol not supported: the object that this libibverbs returned has a layout that is not known here")
	}
	for _, test := range []struct {
		call string
		what []string
		make func(*opened) error
	}{
		{"ibv_alloc_pd", []string{"ibv_alloc_pd"}, func(o *opened) error { return second(o.context.AllocPD()) }},
		{"ibv_reg_mr", []string{"mr.context", "mr.pd", "mr.addr", "mr.length"}, func(o *opened) error { return second(o.pd.RegMR(mapped(t, 4096), 0)) }},
		{"ibv_create_comp_channel", []string{"channel.context", "channel.fd"}, func(o *opened) error { return second(o.context.NewChannel()) }},
		{"ibv_create_cq", []string{"cq.context", "cq.channel", "cq.cqe"}, func(o *opened) error { return second(o.context.NewCQ(4, nil)) }},
		{"ibv_create_srq", []string{"srq.context", "srq.pd"}, func(o *opened) error { return second(o.pd.NewSRQ(4, 1)) }},
		{"ibv_create_qp", []string{"qp.context", "qp.pd", "qp.send_cq", "qp.recv_cq", "qp.srq", "qp.qp_type"}, func(o *opened) error {
			return second(o.pd.NewQP(QPInit{SendCQ: o.cq, RecvCQ: o.cq}))
		}},
	} {
		o := open(t)
		for _, what := range test.what {
			o.scramble = name(what)
			err := test.make(o)
			require.ErrorIs(t, err, unix.EPROTONOSUPPORT, what)
			require.ErrorContains(t, err, test.call)
		}
		o.scramble = name("")
	}
}

func second[T any](_ T, err error) error { return err }

// The library of this machine, if there is one, has every function, and says
// what devices there are.
func TestInstalledLibrary(t *testing.T) {
	t.Parallel()
	if err := Load(); errors.Is(err, ErrMissing) {
		require.Empty(t, os.Getenv("RXE_DEVICE"), "there is to be a device: %v", err)
		_, err := Devices()
		require.ErrorIs(t, err, ErrMissing)
		_, err = Open("any")
		require.ErrorIs(t, err, ErrMissing)
		lacking(t, "libibverbs.so.1 (Debian package libibverbs1)")
	} else {
		require.NoError(t, err)
	}
	t.Logf("fork note: %q", ForkNote())
	devices, err := Devices()
	require.NoError(t, err)
	t.Logf("devices: %+v", devices)
	_, err = Open("no such device")
	require.ErrorIs(t, err, unix.ENODEV)
	require.Equal(t, "port active", EventPortActive.String())
	require.Equal(t, "local work queue catastrophic error", EventQPFatal.String())
}
