package rxe

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func withArch(text string) string {
	return strings.ReplaceAll(text, "linux-image-ARCH", "linux-image-"+runtime.GOARCH)
}

func TestAddAndDelete(t *testing.T) {
	t.Parallel()
	k := typicalKernel()
	h := newHost(t, k, nil)

	require.NoError(t, h.add("rxe9", "lo"))

	links, err := h.list()
	require.NoError(t, err)
	require.Equal(t, Link{Name: "rxe9", Port: 1, Driver: "rxe", Interface: "lo", State: "ACTIVE", PhysicalState: "LINK_UP", NodeGUID: "0000:0000:0000:0000"}, links[len(links)-1])
	require.NoError(t, h.delete("rxe9"))
	require.Equal(t, typicalKernel().has, k.has)
}

func TestAddChecksNames(t *testing.T) {
	t.Parallel()
	k := &fakeKernel{newErr: errors.New("the kernel was asked")}
	h := newHost(t, k, nil)
	for _, name := range []string{"", "rxe%d", "a/b", "a b", "a\nb", "-a", ".", "..", ".a", "ä", strings.Repeat("a", 64)} {
		err := h.add(name, "eth0")
		requireKind(t, ErrName, err)
		require.ErrorContains(t, err, ": must be 1 to 63 letters, digits, '_', '-' and '.', the first neither '-' nor '.'")
	}
	for _, netdev := range []string{"", "sixteen-bytes-xx"} {
		err := h.add("rxe9", netdev)
		requireKind(t, ErrNoInterface, err)
		require.ErrorContains(t, err, ": names of interfaces have 1 to 15 bytes; interfaces are: lo, eth0, eth1, eth2")
	}
	for _, name := range []string{"r", "rxe_0", "Rxe-0.1", "0", strings.Repeat("a", 63)} {
		require.ErrorIs(t, h.add(name, "fifteen-bytes-x"), k.newErr)
	}
}

// Only rxe devices are deleted, and only those that nobody uses.
func TestDeleteRefuses(t *testing.T) {
	t.Parallel()
	comm := map[string]string{"proc/41/comm": "ib_write_lat\n", "proc/7/comm": "rping\n"}
	for name, c := range map[string]struct {
		device string
		change func(*fakeKernel)
		kind   error
		text   string
	}{
		"not there": {"rxe9", func(*fakeKernel) {}, ErrNotExist, "rxe: delete rxe9: no such RDMA device: rxe links are: rxe0"},
		"none there": {"rxe0", func(k *fakeKernel) { k.has = k.has[1:] }, ErrNotExist,
			"rxe: delete rxe0: no such RDMA device: there are no rxe links"},
		"cannot be listed": {"rxe9", func(k *fakeKernel) { k.portsErr = unix.EIO }, ErrNotExist,
			"rxe: delete rxe9: no such RDMA device: nor can they be listed: ports of rxe0: input/output error"},
		"hardware": {"mlx5_0", func(*fakeKernel) {}, ErrNotRxe, "rxe: delete mlx5_0: not an rxe device: its driver is mlx5; it stays"},
		"siw":      {"iwarp", func(*fakeKernel) {}, ErrNotRxe, "rxe: delete iwarp: not an rxe device: its driver is siw; it stays"},
		"unknown driver": {"rxe0", func(k *fakeKernel) { k.has[0].driver = 99 }, ErrNotRxe,
			"rxe: delete rxe0: not an rxe device: its driver is 99; it stays"},
		"no driver": {"rxe0", func(k *fakeKernel) { k.driverErr = unix.EOPNOTSUPP }, ErrNotRxe,
			"rxe: delete rxe0: not an rxe device: the kernel does not tell its driver; it stays"},
		"driver cannot be asked": {"rxe0", func(k *fakeKernel) { k.driverErr = unix.EIO }, nil,
			"rxe: delete rxe0: driver of rxe0: input/output error; the kernel's log may say why (sudo dmesg | grep -i rxe)"},
		"in use": {"rxe0", func(k *fakeKernel) { k.has[0].users = []uint32{41, 7, 41, 0, 12} }, ErrInUse,
			"rxe: delete rxe0: the device is in use: end the programs that have it open first: a process outside of this container, rping (7), process 12, ib_write_lat (41)"},
		"in use by one": {"rxe1", func(k *fakeKernel) {
			k.has = append(k.has, fakeDevice{device{9, "rxe1", 0x3}, []port{{1, 4, 5, "lo"}}, rxeID, []uint32{7}})
		}, ErrInUse, "rxe: delete rxe1: the device is in use: end the programs that have it open first: rping (7)"},
		"users cannot be asked": {"rxe0", func(k *fakeKernel) { k.usersErr = unix.EIO }, nil,
			"rxe: delete rxe0: input/output error; the kernel's log may say why (sudo dmesg | grep -i rxe)"},
		"no RDMA": {"rxe0", func(k *fakeKernel) { k.devicesErr = unix.EPROTONOSUPPORT }, ErrUnsupported,
			"rxe: delete rxe0: the kernel has no RDMA: Linux 6.1.0-99-amd64 knows no RDMA netlink: there is no module ib_core in /lib/modules/6.1.0-99-amd64: " +
				"install one (Debian: package linux-image-ARCH, not the cloud flavour, and boot it; Ubuntu: package linux-modules-extra-6.1.0-99-amd64), or use a virtual machine with such a kernel"},
		"not permitted": {"rxe0", func(k *fakeKernel) { k.deleteErr = unix.EPERM }, ErrNotPermitted,
			"rxe: delete rxe0: not permitted: it takes CAP_NET_ADMIN in the initial user namespace, which root in a container does not have: run it outside of the container"},
		"refused": {"rxe0", func(k *fakeKernel) { k.deleteErr = unix.EINVAL }, nil,
			"rxe: delete rxe0: invalid argument; the kernel's log may say why (sudo dmesg | grep -i rxe)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := typicalKernel()
			c.change(k)
			before := len(k.has)

			err := newHost(t, k, comm).delete(c.device)

			requireKind(t, c.kind, err)
			require.Equal(t, withArch(c.text), err.Error())
			require.Len(t, k.has, before, "something was deleted")
		})
	}
}

// Kernels older than 5.14 do not know who uses a device.
func TestDeleteOnOldKernel(t *testing.T) {
	t.Parallel()
	k := typicalKernel()
	k.usersErr = unix.EINVAL
	require.NoError(t, newHost(t, k, nil).delete("rxe0"))
	require.Equal(t, typicalKernel().has[1:], k.has)
}
