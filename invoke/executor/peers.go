package executor

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// Where an isolated executor's packets go (confine.Egress) is up to its supervisor: to
// the UDP addresses that its clients name as they connect. They name them on the set-up
// stream, so the supervisor listens in there, and does not ask the executor.

// isSoftroce says whether a transport is RoCE over a UDP socket, decorated or not.
func isSoftroce(url string) bool { return providerOf(url) == "softroce" }

// isVerbs says whether a transport is the kernel's, decorated or not.
func isVerbs(url string) bool { return providerOf(url) == "verbs" }

func providerOf(url string) string {
	scheme, _, _ := strings.Cut(url, ":")
	return scheme[strings.LastIndexByte(scheme, '+')+1:]
}

// BeyondLoopback says whether executors have, for a transport, a UDP socket that can send
// to other machines.
func BeyondLoopback(transport string) bool {
	return isSoftroce(transport) && !localAddress(transport).IsLoopback()
}

// localAddress is the address of a softroce device: the loopback's by default.
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

// filtered says whether clients have to be heard, so that packets to them are let out.
func (e *Executor) filtered() bool {
	return e.confined != nil && isSoftroce(e.transport()) && e.confined.Report().Applied(confine.Egress)
}

// introduce relays between a client and the executor, which may send to the client as
// long as that lasts.
func (e *Executor) introduce(client, near net.Conn) {
	i := &introduction{Conn: client, executor: e}
	relay(i, near)
	if i.peer.IsValid() {
		e.confined.ForgetPeer(i.peer) // an error means that the executor has ended
	}
}

// introduction is a client's stream, of which the first exchange is heard: the address of
// the client's device, which is good for one connection. The rest is the client's and the
// executor's.
type introduction struct {
	net.Conn
	executor *Executor
	peer     netip.AddrPort // once it is allowed

	heard bool
	frame []byte // the beginning of a frame, as far as it matters
	skip  int    // bytes of a frame that does not
}

// Frames of a set-up stream: see package transport. An exchange comes after the hello,
// which was read before in most cases.
const (
	frameHeader   = 8
	frameHello    = 1
	frameReject   = 3
	frameExchange = 4
)

// Read has the executor get what names the client only when it may send there.
func (i *introduction) Read(b []byte) (int, error) {
	n, err := i.Conn.Read(b)
	if refused := i.hear(b[:n]); refused != nil {
		i.reject(refused.Error())
		return 0, refused
	}
	return n, err
}

// hear looks for the address. What is no such thing the executor refuses, and it can then
// send nowhere.
func (i *introduction) hear(b []byte) error {
	for len(b) > 0 && !i.heard {
		if i.skip > 0 {
			n := min(i.skip, len(b))
			i.skip, b = i.skip-n, b[n:]
			continue
		}
		wanted := frameHeader
		if len(i.frame) >= frameHeader {
			wanted += roceaddr.Bytes
		}
		n := min(wanted-len(i.frame), len(b))
		i.frame, b = append(i.frame, b[:n]...), b[n:]
		switch {
		case len(i.frame) < wanted:
		case wanted > frameHeader:
			i.heard = true
			return i.allow(i.frame[frameHeader:])
		default:
			i.begin(binary.BigEndian.Uint32(i.frame), i.frame[4])
		}
	}
	return nil
}

// begin takes the header of a frame.
func (i *introduction) begin(size uint32, kind byte) {
	switch {
	case kind == frameHello:
		i.frame, i.skip = i.frame[:0], int(size)
	case kind != frameExchange || size != roceaddr.Bytes:
		i.heard = true
	}
}

// allow lets packets to the client out.
func (i *introduction) allow(exchanged []byte) error {
	a, err := roceaddr.Decode(exchanged)
	if err != nil {
		return nil
	}
	peer := netip.AddrPortFrom(a.GID, a.Port)
	if i.executor.assignment.Runtime != runtime.Wasm { // which sends nothing by itself
		if err := credible(peer, i.RemoteAddr(), localAddress(i.executor.transport())); err != nil {
			return err
		}
	}
	if err := i.executor.confined.AllowPeer(peer); err != nil {
		return err
	}
	i.peer = peer
	return nil
}

// reject tells the client why it is not connected. The executor is only told that it hung
// up.
func (i *introduction) reject(reason string) {
	const code, most = 0, 1024
	reason = reason[:min(len(reason), most)]
	payload := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(nil, code), uint16(len(reason)))
	payload = append(payload, reason...)
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	i.Write(append(append(frame, frameReject, 0, 0, 0), payload...)) // an error means that it has gone
}

// Ports that devices and softroce have, unless they were told otherwise: RoCE's, and
// those that the kernel chooses.
const (
	rocePort    = 4791
	firstChosen = 32768
)

// credible says whether a client that connects from an address can have its device at
// another one: a tenant is not to have an executor send for it to where it says. It can if
// both are the same host's, or if the device is a neighbour of the executor's, on the
// network that was said to be trusted with RoCE, at a port for it.
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
			return nil // all are this machine's
		}
	} else if nearby && (peer.Port() == rocePort || peer.Port() >= firstChosen) {
		return nil
	}
	return fmt.Errorf("executor: the client's device is at %v, which is neither where it connects from (%v) nor a neighbour of %v at UDP port %d or from %d on: "+
		"nothing is sent there for it; open both devices on addresses of one network, or connect over that network", peer, from, own, rocePort, firstChosen)
}

// hostOf is the host at the other end of a stream; invalid: this machine, by a Unix
// socket.
func hostOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// locate says whether an address is this machine's, or a neighbour's of its own address.
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

// isBroadcast says whether an address is all of a network's hosts'.
func isBroadcast(a netip.Addr, p netip.Prefix) bool {
	return a.Is4() && p.Bits() < 31 && !p.Contains(a.Next())
}
