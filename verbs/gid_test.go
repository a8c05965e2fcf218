package verbs

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

func gid(index int, address, kind string) ibv.GID {
	return ibv.GID{Index: index, Addr: netip.MustParseAddr(address).As16(), Type: kind, Interface: "eth0"}
}

const roceV1 = "IB/RoCE v1"

func TestChooseGID(t *testing.T) {
	t.Parallel()
	// What a port with two IPv4 and two IPv6 addresses has, as the kernel lists it.
	full := []ibv.GID{
		gid(0, "fe80::1", roceV1), gid(1, "fe80::1", roceV2),
		gid(2, "192.0.2.9", roceV1), gid(3, "192.0.2.9", roceV2),
		gid(4, "192.0.2.7", roceV1), gid(5, "192.0.2.7", roceV2),
		gid(6, "fd00::7", roceV1), gid(7, "fd00::7", roceV2),
	}
	primary := func(iface string, a netip.Addr) bool {
		return iface == "eth0" && (a == netip.MustParseAddr("192.0.2.7") || a == netip.MustParseAddr("fd00::7"))
	}
	for name, c := range map[string]struct {
		gids   []ibv.GID
		o      options
		index  int
		reason string
	}{
		"primary IPv4":     {full, options{gid: -1}, 5, "from which the interface sends"},
		"IPv4 at all":      {full[:4], options{gid: -1}, 3, "RoCE v2 and IPv4"},
		"IPv6":             {append(full[:2:2], full[6:]...), options{gid: -1}, 7, "no IPv4 address"},
		"link-local":       {full[:2], options{gid: -1}, 1, "link-local"},
		"parameter":        {full, options{gid: 3}, 3, "parameter gid"},
		"address in URL":   {full, options{gid: -1, address: netip.MustParseAddr("192.0.2.9")}, 3, "the URL asks"},
		"IPv6 in URL":      {full, options{gid: -1, address: netip.MustParseAddr("fd00::7")}, 7, "the URL asks"},
		"zone does not do": {full, options{gid: -1, address: netip.MustParseAddr("fe80::1%eth0")}, 1, "the URL asks"},
	} {
		t.Run(name, func(t *testing.T) {
			g, reason, err := chooseGID(c.gids, &c.o, primary)
			require.NoError(t, err)
			require.Equal(t, c.index, g.Index)
			require.Contains(t, reason, c.reason)
		})
	}
	for name, c := range map[string]struct {
		gids []ibv.GID
		o    options
		is   error
		says string
	}{
		"none":            {nil, options{gid: -1}, transport.ErrNotSupported, "is it up? The port has no GIDs"},
		"v1 only":         {full[:1], options{gid: -1}, transport.ErrNotSupported, "0: fe80::1 (IB/RoCE v1, eth0)"},
		"v1 asked for":    {full, options{gid: 4}, transport.ErrNotSupported, `GID 4 is of type "IB/RoCE v1"`},
		"no such index":   {full, options{gid: 99}, transport.ErrNotSupported, "no GID 99; it has 0: fe80::1"},
		"no such address": {full, options{gid: -1, address: netip.MustParseAddr("192.0.2.1")}, transport.ErrNotSupported, "no RoCE v2 GID for 192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := chooseGID(c.gids, &c.o, primary)
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestPrimaryAddress(t *testing.T) {
	t.Parallel()
	require.True(t, isPrimary("lo", netip.MustParseAddr("127.0.0.1")))
	require.False(t, isPrimary("lo", netip.MustParseAddr("127.0.0.2")))
	require.False(t, isPrimary("no such interface", netip.MustParseAddr("127.0.0.1")))
}
