package roceaddr

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// RouteMTU is the largest path MTU that fits the route from a local address to the
// peer. The kernel's MTU for a connected UDP socket decides, that of the outgoing
// interface or less; nothing is sent. It is 0 if the process may not open a socket,
// for example because it is isolated.
func RouteMTU(local netip.Addr, peer netip.AddrPort) (int, error) {
	family, level, option := unix.AF_INET, unix.SOL_IP, unix.IP_MTU
	if local.Is6() {
		family, level, option = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_MTU
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, Sockaddr(netip.AddrPortFrom(local, 0))); err != nil {
		return 0, nil
	}
	switch err := unix.Connect(fd, Sockaddr(peer)); {
	case errors.Is(err, unix.EPERM):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("looking up the route from %v to %v: %w", local, peer.Addr(), err)
	}
	link, err := unix.GetsockoptInt(fd, level, option)
	if err != nil {
		return 0, nil
	}
	mtu := PathMTU(link)
	if mtu == 0 {
		return 0, fmt.Errorf("the route from %v to %v has an MTU of %d bytes; the smallest RoCE packets need 348", local, peer.Addr(), link)
	}
	return mtu, nil
}
