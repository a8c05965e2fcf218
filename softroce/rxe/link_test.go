package rxe

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestList(t *testing.T) {
	t.Parallel()
	const gids = "sys/class/infiniband/rxe0/ports/1/"
	h := newHost(t, typicalKernel(), map[string]string{
		gids + "gids/0":                              "fe80:0000:0000:0000:5054:00ff:fe12:3456\n",
		gids + "gids/1":                              "0000:0000:0000:0000:0000:0000:0000:0000\n", // an address that was deleted
		gids + "gids/2":                              "0000:0000:0000:0000:0000:ffff:0a09:0001\n",
		gids + "gids/10":                             "fd09:0000:0000:0000:0000:0000:0000:0001\n",
		gids + "gids/x":                              "fd09:0000:0000:0000:0000:0000:0000:0002\n",
		gids + "gid_attrs/types/0":                   "IB/RoCE v1\n",
		gids + "gid_attrs/types/2":                   "RoCE v2\n",
		gids + "gid_attrs/types/10":                  "RoCE v2\n",
		"sys/class/infiniband/mlx5_0/ports/2/gids/0": "0000:0000:0000:0000:0000:ffff:0a0a:0001\n",
	})

	links, err := h.list()

	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]Link{
		{"rxe0", 1, "rxe", "eth0", "ACTIVE", "LINK_UP", "5054:00ff:fe12:3456", []GID{
			{0, netip.MustParseAddr("fe80::5054:ff:fe12:3456"), "IB/RoCE v1"},
			{2, netip.MustParseAddr("::ffff:10.9.0.1"), "RoCE v2"},
			{10, netip.MustParseAddr("fd09::1"), "RoCE v2"},
		}},
		{"mlx5_0", 1, "mlx5", "eth1", "ACTIVE", "LINK_UP", "0000:0000:0000:0001", nil},
		{"mlx5_0", 2, "mlx5", "", "DOWN", "DISABLED", "0000:0000:0000:0001", []GID{{0, netip.MustParseAddr("::ffff:10.10.0.1"), ""}}},
		{"iwarp", 1, "siw", "eth2", "DOWN", "DISABLED", "0000:0000:0000:0002", nil},
	}, links, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })))
	for i, is := range []bool{true, false, false, false} {
		require.Equal(t, is, links[i].IsRxe())
	}
}

func TestListWithoutRDMA(t *testing.T) {
	t.Parallel()
	links, err := newHost(t, &fakeKernel{}, nil).list()
	require.NoError(t, err)
	require.Empty(t, links)

	_, err = newHost(t, &fakeKernel{devicesErr: unix.EPROTONOSUPPORT}, nil).list()
	requireKind(t, ErrUnsupported, err)
	require.ErrorContains(t, err, "rxe: list: the kernel has no RDMA: Linux "+fakeRelease)
}

// A device may go while it is looked at; a driver may be of no use to programs.
func TestListGaps(t *testing.T) {
	t.Parallel()
	k := typicalKernel()
	k.portsErr = unix.EINVAL
	links, err := newHost(t, k, nil).list()
	require.NoError(t, err)
	require.Empty(t, links)

	for _, errno := range []error{unix.EINVAL, unix.ENODEV, unix.EOPNOTSUPP} {
		k = typicalKernel()
		k.driverErr = errno
		links, err = newHost(t, k, nil).list()
		require.NoError(t, err)
		require.Len(t, links, 4)
		require.Empty(t, links[0].Driver)
		require.False(t, links[0].IsRxe())
	}

	k.driverErr = unix.EIO
	_, err = newHost(t, k, nil).list()
	require.EqualError(t, err, "rxe: list: driver of rxe0: input/output error; the kernel's log may say why (sudo dmesg | grep -i rxe)")
	k.portsErr = unix.EIO
	_, err = newHost(t, k, nil).list()
	require.EqualError(t, err, "rxe: list: ports of rxe0: input/output error; the kernel's log may say why (sudo dmesg | grep -i rxe)")
}

func TestNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ACTIVE_DEFER", nameOf(portStates, uint8(5)))
	require.Equal(t, "6", nameOf(portStates, uint8(6)))
	require.Equal(t, "mana", nameOf(drivers, uint32(20)))
	require.Equal(t, "4294967295", nameOf(drivers, uint32(1<<32-1)))
}

// Answers of Linux 6.1.0-56-amd64, and what rdma(8) said of the same devices:
// rxe0 on v0, with node_guid b4c9:0fff:fecd:d1cc, and gold0, that pids 177 and 178
// had open.
func TestParse(t *testing.T) {
	t.Parallel()
	message := func(text string) attributes {
		raw, err := hex.DecodeString(text)
		require.NoError(t, err)
		a, err := parse(raw)
		require.NoError(t, err)
		return a
	}

	d := message("080001000000000009000200727865300000000008000300010000000c000400763c2201000000000c000600ccd1cdfeff0fc9b4" +
		"0c000700ccd1cdfeff0fc9b405000e0001000000050054000000000009004300726f636500000000").device()
	require.Equal(t, device{0, "rxe0", 0xb4c90ffffecdd1cc}, d)
	require.Equal(t, "b4c9:0fff:fecd:d1cc", guid(d.nodeGUID))

	p := message("0800010000000000090002007278653000000000080003000100000005000c000400000005000d000500000008003200020000000700330076300000").port()
	require.Equal(t, port{1, 4, 5, "v0"}, p)

	a := message("080049000e0000000c004800c0e70000000000000c00470002000000000000000c0046007576657262733000")
	require.Equal(t, uint32(rxeID), a.uint32(attrUverbsDriverID))
	require.Equal(t, driverName, nameOf(drivers, uint32(rxeID)))

	contexts := message("08000100010000000a000200676f6c64300000002c00560014005700080040000000000008001c00b2000000" +
		"14005700080040000100000008001c00b1000000")
	pids, err := users([]attributes{contexts})
	require.NoError(t, err)
	require.Equal(t, []uint32{178, 177}, pids)
	pids, err = users([]attributes{contexts, {}, contexts}) // a long answer
	require.NoError(t, err)
	require.Equal(t, []uint32{178, 177, 178, 177}, pids)
}

func TestParseDamaged(t *testing.T) {
	t.Parallel()
	_, err := parse([]byte{3, 0, 1, 0}) // shorter than its own header
	require.ErrorContains(t, err, "answer of RDMA netlink: ")
	_, err = users([]attributes{{attrContexts: {9, 0, 87, 0}}}) // longer than there is
	require.ErrorContains(t, err, "answer of RDMA netlink: contexts: ")
	_, err = users([]attributes{{attrContexts: {8, 0, 87, 0, 9, 0, 28, 0}}})
	require.ErrorContains(t, err, "answer of RDMA netlink: ")
	a := attributes{1: {1}, 2: nil} // shorter than what they are
	require.Equal(t, device{1, "", 0}, a.device())
}
