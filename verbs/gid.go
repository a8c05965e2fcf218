package verbs

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// roceV2 is the type of GIDs whose packets are UDP.
const roceV2 = "RoCE v2"

// chooseGID chooses the entry of a RoCE port's GID table to send from, and returns the
// reason. primary reports whether an address is the one by which its interface sends.
func chooseGID(gids []ibv.GID, o *options, primary func(iface string, address netip.Addr) bool) (ibv.GID, string, error) {
	if o.gid >= 0 {
		i := slices.IndexFunc(gids, func(g ibv.GID) bool { return g.Index == o.gid })
		if i < 0 {
			return ibv.GID{}, "", fmt.Errorf("%w: the port has no GID %d; it has %s", transport.ErrNotSupported, o.gid, listGIDs(gids))
		}
		if gids[i].Type != roceV2 {
			return ibv.GID{}, "", fmt.Errorf("%w: GID %d is of type %q; this provider speaks RoCE v2. The port has %s", transport.ErrNotSupported, o.gid, gids[i].Type, listGIDs(gids))
		}
		return gids[i], "the parameter gid asks for it", nil
	}
	best, score := ibv.GID{}, 0
	for _, g := range gids {
		if s := scoreGID(g, o.address, primary); s > score { // the first of equals
			best, score = g, s
		}
	}
	switch {
	case score == 0 && o.address.IsValid():
		return best, "", fmt.Errorf("%w: the port has no RoCE v2 GID for %v; it has %s", transport.ErrNotSupported, o.address, listGIDs(gids))
	case score == 0:
		return best, "", fmt.Errorf("%w: the port has no RoCE v2 GID: has its network interface an address, and is it up? The port has %s", transport.ErrNotSupported, listGIDs(gids))
	}
	return best, gidReasons[score], nil
}

// The scores, from worst to best, with their reasons.
const (
	gidUnfit = iota
	gidLinkLocal
	gidIPv6
	gidIPv6Primary
	gidIPv4
	gidIPv4Primary
	gidAsked
)

var gidReasons = map[int]string{
	gidLinkLocal:   "RoCE v2; the interface has a link-local IPv6 address only, so it reaches its own link",
	gidIPv6:        "RoCE v2 and IPv6: the interface has no IPv4 address",
	gidIPv6Primary: "RoCE v2 and IPv6: the interface has no IPv4 address",
	gidIPv4:        "RoCE v2 and IPv4",
	gidIPv4Primary: "RoCE v2, IPv4, and the address from which the interface sends",
	gidAsked:       "the URL asks for this address",
}

func scoreGID(g ibv.GID, want netip.Addr, primary func(string, netip.Addr) bool) int {
	address := gidAddr(g.Addr)
	isPrimary := func() bool { return primary(g.Interface, address) }
	switch {
	case g.Type != roceV2:
		return gidUnfit
	case want.IsValid():
		if want.WithZone("") == address {
			return gidAsked
		}
		return gidUnfit
	case address.Is4() && isPrimary():
		return gidIPv4Primary
	case address.Is4():
		return gidIPv4
	case address.IsLinkLocalUnicast():
		return gidLinkLocal
	case isPrimary():
		return gidIPv6Primary
	}
	return gidIPv6
}

// gidAddr is a GID as an IP address, IPv4 not mapped.
func gidAddr(gid [16]byte) netip.Addr { return netip.AddrFrom16(gid).Unmap() }

// isPrimary reports whether an address is the first of its family and scope that an
// interface has, which the kernel sends from.
func isPrimary(iface string, address netip.Addr) bool {
	i, err := net.InterfaceByName(iface)
	if err != nil {
		return false
	}
	addresses, err := i.Addrs()
	if err != nil {
		return false
	}
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		have := prefix.Addr().Unmap()
		if have.Is4() == address.Is4() && have.IsLinkLocalUnicast() == address.IsLinkLocalUnicast() {
			return have == address
		}
	}
	return false
}

func listGIDs(gids []ibv.GID) string {
	if len(gids) == 0 {
		return "no GIDs"
	}
	var list []string
	for _, g := range gids {
		list = append(list, fmt.Sprintf("%d: %v (%s, %s)", g.Index, gidAddr(g.Addr), g.Type, g.Interface))
	}
	return strings.Join(list, "; ")
}
