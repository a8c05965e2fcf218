package executor

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// isSoftroce reports whether a transport is RoCE over a UDP socket, decorated or not.
func isSoftroce(url string) bool { return providerOf(url) == "softroce" }

// isVerbs reports whether a transport is an RDMA device of the kernel's, decorated or not.
func isVerbs(url string) bool { return providerOf(url) == "verbs" }

func providerOf(url string) string {
	scheme, _, _ := strings.Cut(url, ":")
	return scheme[strings.LastIndexByte(scheme, '+')+1:]
}

// BeyondLoopback reports whether executors have, for a transport, a UDP socket that can
// send to other machines.
func BeyondLoopback(transport string) bool {
	return isSoftroce(transport) && !localAddress(transport).IsLoopback()
}

// localAddress is the address of a softroce device; without one, the loopback's.
func localAddress(transport string) netip.Addr {
	if u, err := url.Parse(transport); err == nil {
		if a, err := netip.ParseAddr(u.Hostname()); err == nil {
			return a.Unmap().WithZone("")
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// transport is that of the assignment.
func (e *Executor) transport() string {
	if e.assignment.Transport == "" && len(e.transports) > 0 {
		return e.transports[0]
	}
	return e.assignment.Transport
}

// The ports of devices by default: RoCE's, and from firstChosen on those that the kernel
// chooses.
const (
	rocePort    = 4791
	firstChosen = 32768
)

// credible returns an error if a client that connects from an address cannot have its
// device at peer: a tenant must not make an executor send to any address it names. The
// device has to be on the host the client connects from, or be a neighbour of the
// executor's own address, on the network that was declared trusted, at a port for RoCE.
func credible(peer netip.AddrPort, from net.Addr, own netip.Addr) error {
	networks, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("executor: listing the addresses of this machine: %w", err)
	}
	return credibleIn(peer, from, own, networks)
}

func credibleIn(peer netip.AddrPort, from net.Addr, own netip.Addr, networks []net.Addr) error {
	host := hostOf(from)
	if peer.Addr() == host {
		return nil
	}
	here, nearby := locate(peer.Addr(), own, networks)
	if here || peer.Addr().IsLoopback() {
		if there, _ := locate(host, own, networks); there || host.IsLoopback() || !host.IsValid() {
			return nil // all are on this machine
		}
	} else if nearby && (peer.Port() == rocePort || peer.Port() >= firstChosen) {
		return nil
	}
	return fmt.Errorf("executor: the client's device is at %v, which is neither where it connects from (%v) nor a neighbour of %v at UDP port %d or from %d on: "+
		"nothing is sent there for it; open both devices on addresses of one network, or connect over that network", peer, from, own, rocePort, firstChosen)
}

// hostOf is the host at the other end of a stream; invalid for a Unix socket, whose peer
// is on this machine.
func hostOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// locate reports whether an address is this machine's, or a neighbour of own.
func locate(a, own netip.Addr, networks []net.Addr) (here, nearby bool) {
	for _, n := range networks {
		p, err := netip.ParsePrefix(n.String())
		if err != nil {
			continue
		}
		here = here || p.Addr() == a
		nearby = nearby || p.Addr() == own && p.Contains(a) && !isBroadcast(a, p)
	}
	return here, nearby
}

// isBroadcast reports whether an address is the broadcast address of a network.
func isBroadcast(a netip.Addr, p netip.Prefix) bool {
	return a.Is4() && p.Bits() < 31 && !p.Contains(a.Next())
}
