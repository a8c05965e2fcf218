package softroce

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/transport"
)

// routeMTU is the largest path MTU, not above mtu, for which the route to the peer
// has room: mtu itself where this process cannot look routes up.
func (q *queuePair) routeMTU(mtu int) (int, error) {
	link, err := routeBytes(q.engine.socket.local.Addr(), q.peer)
	if err != nil || link == 0 {
		return mtu, err
	}
	fits := roceaddr.PathMTU(link)
	if fits == 0 {
		return 0, fmt.Errorf("%w: the route to %v has an MTU of %d bytes; the smallest RoCE packets need 348", transport.ErrNotSupported, q.peer.Addr(), link)
	}
	return min(mtu, fits), nil
}

// routeBytes is the MTU of the route from a local address to the peer: that of the
// interface that packets leave by, which need not be the one that has the address,
// or less. It is that of a connected UDP socket, for which nothing is sent. 0: the
// process may not open one (it is isolated, say).
func routeBytes(local netip.Addr, peer netip.AddrPort) (int, error) {
	family, level, option := unix.AF_INET, unix.SOL_IP, unix.IP_MTU
	if local.Is6() {
		family, level, option = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_MTU
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, sockaddrOf(netip.AddrPortFrom(local, 0))); err != nil {
		return 0, nil
	}
	switch err := unix.Connect(fd, sockaddrOf(peer)); {
	case errors.Is(err, unix.EPERM):
		return 0, nil
	case err != nil:
		return 0, explain(fmt.Sprintf("looking up the route from %v to %v", local, peer.Addr()), err)
	}
	mtu, err := unix.GetsockoptInt(fd, level, option)
	if err != nil {
		return 0, nil
	}
	return mtu, nil
}

// The message of an end that is ready: the word, and the path MTU for which its
// route has room (16 bits, big-endian). Ends that are no softroce say the word, or
// something else.
const readyWord = "ready"

func encodeReady(mtu int) []byte {
	return binary.BigEndian.AppendUint16([]byte(readyWord), uint16(mtu))
}

// decodeReady reads what encodeReady wrote; false: the peer did not say.
func decodeReady(b []byte) (mtu int, told bool) {
	if len(b) != len(readyWord)+2 || string(b[:len(readyWord)]) != readyWord {
		return 0, false
	}
	mtu = int(binary.BigEndian.Uint16(b[len(readyWord):]))
	return mtu, roceaddr.ValidMTU(mtu)
}
