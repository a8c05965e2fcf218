package roceaddr

import (
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Sockaddr is a UDP address for system calls.
func Sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: Scope(a.Addr())}
}

// Scope is the interface index of a link-local address's zone.
func Scope(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	if ifc, err := net.InterfaceByName(a.Zone()); err == nil {
		return uint32(ifc.Index)
	}
	n, _ := strconv.Atoi(a.Zone())
	return uint32(n)
}
