package rxe

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const dep = "lib/modules/" + fakeRelease + "/modules.dep"

var loaded = map[string]string{"sys/module/rdma_rxe/initstate": "live"}

// Each errno that the kernel refuses a link with is explained by what else can be
// seen: the errno, the kind of the error, and its whole text.
func TestAddExplains(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		device, netdev string
		errno          unix.Errno
		files          map[string]string
		unprivileged   bool
		kind           error
		text           string
	}{
		"no RDMA": {
			device: "rxe9", netdev: "eth1", errno: unix.EPROTONOSUPPORT, kind: ErrUnsupported,
			text: "rxe: add rxe9 to eth1: the kernel has no RDMA: Linux 6.1.0-99-amd64 knows no RDMA netlink: there is no module ib_core in /lib/modules/6.1.0-99-amd64: " +
				"install one (Debian: package linux-image-ARCH, not the cloud flavour, and boot it; Ubuntu: package linux-modules-extra-6.1.0-99-amd64), or use a virtual machine with such a kernel",
		},
		"no RDMA loaded": {
			device: "rxe9", netdev: "eth1", errno: unix.EPROTONOSUPPORT, kind: ErrUnsupported, files: map[string]string{dep: "kernel/ib_core.ko.xz: kernel/x.ko\n"},
			text: "rxe: add rxe9 to eth1: the kernel has no RDMA: Linux 6.1.0-99-amd64 knows no RDMA netlink: module ib_core is installed, but not loaded: run 'sudo modprobe ib_core', which says why",
		},
		"address family": {
			device: "rxe9", netdev: "eth1", errno: unix.EAFNOSUPPORT, kind: ErrUnsupported, files: map[string]string{"sys/module/ib_core/x": ""},
			text: "rxe: add rxe9 to eth1: the kernel has no RDMA: Linux 6.1.0-99-amd64 knows no RDMA netlink: module ib_core is loaded",
		},
		"other namespace": {
			device: "rxe9", netdev: "eth1", errno: unix.ECONNREFUSED, kind: ErrUnsupported,
			text: "rxe: add rxe9 to eth1: the kernel has no RDMA: nothing answers RDMA netlink in this network namespace: Linux 6.1.0-99-amd64 has it in the initial one only",
		},
		"no module": {
			device: "rxe9", netdev: "eth1", errno: unix.EINVAL, kind: ErrNoDriver, files: map[string]string{dep: "kernel/not_rdma_rxe.ko: kernel/rdma_rxe_x.ko\n"},
			text: "rxe: add rxe9 to eth1: the kernel has no rxe driver: there is no module rdma_rxe in /lib/modules/6.1.0-99-amd64: " +
				"install one (Debian: package linux-image-ARCH, not the cloud flavour, and boot it; Ubuntu: package linux-modules-extra-6.1.0-99-amd64), or use a virtual machine with such a kernel",
		},
		"module not loaded": {
			device: "rxe9", netdev: "eth1", errno: unix.EINVAL, kind: ErrNoDriver, files: map[string]string{dep: "kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko: kernel/x.ko\n"},
			text: "rxe: add rxe9 to eth1: the kernel has no rxe driver: module rdma_rxe is installed, but not loaded: run 'sudo modprobe rdma_rxe', which says why",
		},
		"unsuitable": {
			device: "rxe9", netdev: "lo", errno: unix.EINVAL, kind: ErrUnsuitable, files: loaded,
			text: "rxe: add rxe9 to lo: rxe does not work on this kind of network interface: it takes an Ethernet interface: a network card, a virtio interface, one end of a veth pair; interfaces are: lo, eth0, eth1, eth2",
		},
		"unsuitable for a built-in driver": {
			device: "rxe9", netdev: "lo", errno: unix.EINVAL, kind: ErrUnsuitable, files: map[string]string{"lib/modules/" + fakeRelease + "/modules.builtin": "kernel/sw/rxe/rdma_rxe.ko\n"},
			text: "rxe: add rxe9 to lo: rxe does not work on this kind of network interface: it takes an Ethernet interface: a network card, a virtio interface, one end of a veth pair; interfaces are: lo, eth0, eth1, eth2",
		},
		"VLAN": {
			device: "rxe9", netdev: "eth0.5", errno: unix.EPERM, kind: ErrUnsuitable,
			files: map[string]string{"sys/class/net/eth0.5/uevent": "DEVTYPE=vlan\nINTERFACE=eth0.5\n", "sys/class/net/eth0.5/lower_eth0/x": ""},
			text:  "rxe: add rxe9 to eth0.5: rxe does not work on this kind of network interface: eth0.5 is a VLAN: add the link to the interface below (eth0), which gets a GID for each address of the VLAN, too",
		},
		"not permitted": {
			device: "rxe9", netdev: "eth0.5", errno: unix.EPERM, kind: ErrNotPermitted, unprivileged: true, files: map[string]string{"sys/class/net/eth0.5/uevent": "DEVTYPE=vlan\n"},
			text: "rxe: add rxe9 to eth0.5: not permitted: it takes CAP_NET_ADMIN: run it with sudo",
		},
		"not permitted in a container": {
			device: "rxe9", netdev: "eth0", errno: unix.EPERM, kind: ErrNotPermitted, files: map[string]string{"sys/class/net/eth0/uevent": "INTERFACE=eth0\n"},
			text: "rxe: add rxe9 to eth0: not permitted: it takes CAP_NET_ADMIN in the initial user namespace, which root in a container does not have: run it outside of the container",
		},
		"no interface": {
			device: "rxe9", netdev: "eth9", errno: unix.ENODEV, kind: ErrNoInterface,
			text: "rxe: add rxe9 to eth9: no such network interface: interfaces are: lo, eth0, eth1, eth2",
		},
		"swapped": {
			device: "eth0", netdev: "rxe9", errno: unix.ENODEV, kind: ErrNoInterface,
			text: "rxe: add eth0 to rxe9: no such network interface: interfaces are: lo, eth0, eth1, eth2; the name of the new device comes first, then the interface: rxe9 eth0",
		},
		"interface taken": {
			device: "rxe9", netdev: "eth0", errno: unix.EEXIST, kind: ErrExist,
			text: "rxe: add rxe9 to eth0: there is one already: eth0 has the rxe link rxe0, and can have one only: use it, or delete it",
		},
		"both taken": {
			device: "rxe0", netdev: "eth0", errno: unix.EEXIST, kind: ErrExist,
			text: "rxe: add rxe0 to eth0: there is one already: eth0 has the rxe link rxe0, and can have one only: use it, or delete it",
		},
		"name taken": {
			device: "mlx5_0", netdev: "eth2", errno: unix.ENFILE, kind: ErrExist,
			text: "rxe: add mlx5_0 to eth2: there is one already: an RDMA device is called mlx5_0 (driver mlx5, interface eth1): choose another name",
		},
		"really too many files": {
			device: "rxe9", netdev: "eth2", errno: unix.ENFILE,
			text: "rxe: add rxe9 to eth2: too many open files in system; the kernel's log may say why (sudo dmesg | grep -i rxe)",
		},
		"no CRC": {
			device: "rxe9", netdev: "eth1", errno: unix.ENOENT, kind: ErrNoCRC, files: map[string]string{dep: "kernel/crypto/crc32_generic.ko:\n"},
			text: "rxe: add rxe9 to eth1: the kernel lacks the CRC-32 that rxe needs: module crc32_generic is installed, but not loaded: run 'sudo modprobe crc32_generic', which says why",
		},
		"another reason than the CRC": {
			device: "rxe9", netdev: "eth1", errno: unix.ENOENT, files: map[string]string{"sys/module/crc32_generic/x": ""},
			text: "rxe: add rxe9 to eth1: no such file or directory; the kernel's log may say why (sudo dmesg | grep -i rxe)",
		},
		"ENODEV of an interface that is there": {
			device: "rxe9", netdev: "eth1", errno: unix.ENODEV,
			text: "rxe: add rxe9 to eth1: no such device; the kernel's log may say why (sudo dmesg | grep -i rxe)",
		},
		"other": {
			device: "rxe9", netdev: "eth1", errno: unix.ENOMEM,
			text: "rxe: add rxe9 to eth1: cannot allocate memory; the kernel's log may say why (sudo dmesg | grep -i rxe)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := typicalKernel()
			k.newErr = c.errno
			h := newHost(t, k, c.files)
			h.privileged = func() bool { return !c.unprivileged }

			err := h.add(c.device, c.netdev)

			requireKind(t, c.kind, err)
			require.Equal(t, withArch(c.text), err.Error())
			require.ErrorIs(t, err, c.errno)
		})
	}
}

// What cannot be listed is not made up.
func TestAddExplainsWithout(t *testing.T) {
	t.Parallel()
	k := typicalKernel()
	k.newErr, k.portsErr = unix.EEXIST, unix.EIO
	h := newHost(t, k, nil)
	require.EqualError(t, h.add("rxe9", "eth0"), "rxe: add rxe9 to eth0: file exists; the kernel's log may say why (sudo dmesg | grep -i rxe)")

	k.newErr = unix.ENODEV
	h.interfaces = func() ([]string, error) { return nil, errors.New("no listing") }
	require.EqualError(t, h.add("rxe9", "eth0"), "rxe: add rxe9 to eth0: no such device; the kernel's log may say why (sudo dmesg | grep -i rxe)")
	require.ErrorContains(t, h.add("rxe9", ""), "nor can they be listed: no listing")
}
