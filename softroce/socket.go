package softroce

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/transport"
)

// socket is the UDP socket of an engine, and possibly a raw one beside it.
type socket struct {
	fd    int
	inlet int  // where packets are received: fd, or the raw socket
	raw   bool // there is one: packets come with their IP headers
	local netip.AddrPort
	mtu   int // path MTU that the interface allows

	segments bool // UDP_SEGMENT works: several packets a message
	gathers  bool // UDP_GRO works
	buffer   int  // of the receive side, in bytes as the kernel accounts them
}

// bufferBytes is the desired size of the socket's buffers; the kernel may allow
// less (net.core.rmem_max, wmem_max).
const bufferBytes = 8 << 20

// openSocket binds a socket. IPv4 packets leave it with "don't fragment" set and,
// because it is not connected, identification 0: the ICRC covers both.
//
// exact asks for a raw socket to receive from.
func openSocket(local netip.AddrPort, exact bool) (s *socket, err error) {
	family, level, discover := unix.AF_INET, unix.SOL_IP, unix.IP_MTU_DISCOVER
	if local.Addr().Is6() {
		family, level, discover = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, explain("opening a UDP socket", err)
	}
	s = &socket{fd: fd, inlet: fd}
	opened := s
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	if err := unix.SetsockoptInt(fd, level, discover, unix.IP_PMTUDISC_DO); err != nil {
		return nil, explain("forbidding fragments", err)
	}
	if family == unix.AF_INET6 {
		// RoCE leaves the UDP checksum to the ICRC: rxe and adapters send 0, which the
		// kernel otherwise drops over IPv6.
		if err := unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_NO_CHECK6_RX, 1); err != nil {
			return nil, explain("allowing UDP without a checksum", err)
		}
	}
	if err := unix.Bind(fd, roceaddr.Sockaddr(local)); err != nil {
		return nil, bindError(local, err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return nil, explain("getsockname", err)
	}
	s.local = netip.AddrPortFrom(local.Addr(), portOf(name))
	if exact && local.Addr().Is4() {
		if err := s.openRaw(); err != nil {
			return nil, err
		}
	}
	s.segments = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, 0) == nil
	// With UDP_GRO, packets would not have an IP header each.
	s.gathers = !s.raw && unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) == nil
	for _, option := range [][3]int{{s.inlet, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(option[0], unix.SOL_SOCKET, option[1], bufferBytes) != nil { // needs a privilege
			unix.SetsockoptInt(option[0], unix.SOL_SOCKET, option[2], bufferBytes) // as much as is allowed
		}
	}
	if s.buffer, err = unix.GetsockoptInt(s.inlet, unix.SOL_SOCKET, unix.SO_RCVBUF); err != nil {
		return nil, explain("asking for the size of the socket's buffer", err)
	}
	s.mtu, err = pathMTU(local.Addr())
	return s, err
}

func (s *socket) close() error {
	if s.raw {
		unix.Close(s.inlet)
	}
	return unix.Close(s.fd)
}

func bindError(local netip.AddrPort, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("UDP %v is in use: another process has an engine there, or the kernel's rdma_rxe has taken the port (then use another network namespace); give each process an address of its own, such as 127.0.0.2, or a port: softroce://%v",
			local, netip.AddrPortFrom(local.Addr(), 0))
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%v is no address of this machine", local.Addr())
	}
	return explain(fmt.Sprintf("binding UDP %v", local), err)
}

func portOf(sa unix.Sockaddr) uint16 {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port)
	case *unix.SockaddrInet6:
		return uint16(sa.Port)
	}
	return 0
}

// pathMTU is the largest path MTU of the interface that has the address.
func pathMTU(local netip.Addr) (int, error) {
	if local.IsLoopback() {
		// 127.0.0.2 is the loopback interface's without being listed there.
		local = netip.MustParseAddr("127.0.0.1")
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return 0, explain("listing the network interfaces", err)
	}
	for _, ifc := range interfaces {
		addrs, err := ifc.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil || prefix.Addr().WithZone("").Unmap() != local.WithZone("") && !(local.IsLoopback() && prefix.Addr().IsLoopback()) {
				continue
			}
			mtu := roceaddr.PathMTU(ifc.MTU)
			if mtu == 0 {
				return 0, fmt.Errorf("%w: interface %s has an MTU of %d bytes; the smallest RoCE packets need 348", transport.ErrNotSupported, ifc.Name, ifc.MTU)
			}
			return mtu, nil
		}
	}
	return 0, fmt.Errorf("no network interface has the address %v", local)
}
