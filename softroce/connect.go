package softroce

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/softroce/internal/rc"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// Connect implements transport.QP: it swaps addresses with the peer, gets ready to
// receive, and waits until the peer is, too. The ends are ready for the path MTU of
// their interfaces; if the route of either allows less, they get ready once more.
func (q *queuePair) Connect(_ context.Context, x transport.Exchanger) error {
	e := q.engine
	e.enter(q)
	own := roceaddr.Address{
		GID: e.socket.local.Addr().WithZone(""), QPN: q.qpn, PSN: e.adapter.firstPSN(), MTU: uint16(e.adapter.mtu),
		Resources: uint16(e.adapter.options.resources), Initiates: uint16(e.adapter.options.resources),
		Port: e.socket.local.Port(), Window: uint16(e.adapter.window()),
		Whole: e.socket.raw,
	}
	msg, fds, err := x.Exchange(own.Encode(), nil)
	provider.CloseDescriptors(fds)
	if err != nil {
		return err
	}
	peer, err := roceaddr.Decode(msg)
	if err == nil {
		err = q.adopt(peer)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", transport.ErrInvalid, err)
	}
	mtu := min(int(own.MTU), int(peer.MTU))
	fits, err := q.routeMTU(mtu)
	if err != nil {
		return err
	}
	q.ready(own, peer, mtu)
	msg, fds, err = x.Exchange(roceaddr.EncodeReady(fits), nil)
	provider.CloseDescriptors(fds)
	if err != nil {
		return err
	}
	peerFits, told := roceaddr.DecodeReady(msg)
	switch agreed := min(fits, peerFits); {
	case !told && fits < mtu:
		return fmt.Errorf("%w: the route to %v has room for a path MTU of %d, and the peer, which is no softroce, is ready for %d; open this device with the parameter mtu=%d",
			transport.ErrInvalid, q.peer.Addr(), fits, mtu, fits)
	case !told || agreed >= mtu:
		return nil
	default:
		q.ready(own, peer, agreed)
	}
	_, fds, err = x.Exchange(roceaddr.EncodeReady(fits), nil)
	provider.CloseDescriptors(fds)
	return err
}

// adopt sets the peer's addresses.
func (q *queuePair) adopt(peer roceaddr.Address) error {
	e := q.engine
	local := e.socket.local
	if peer.GID.Is4() != local.Addr().Is4() || peer.GID.IsLoopback() != local.Addr().IsLoopback() {
		return fmt.Errorf("the peer's address is %v and this end's %v: neither can reach the other; open both devices on addresses of one network", peer.GID, local.Addr())
	}
	q.peer = netip.AddrPortFrom(peer.GID.WithZone(local.Addr().Zone()), peer.Port)
	q.to = destination{name: newSockaddr(q.peer), flow: wire.NewFlow(local, q.peer), qpn: peer.QPN, whole: peer.Whole}
	q.from = source{addr: peer.GID, port: peer.Port, flow: wire.NewFlow(q.peer, local), last: q.to.name.raw, pinned: isSoftroce(peer)}
	q.from.last.Scope_id = 0
	q.tellAll = peer.Tell
	return nil
}

// ready makes the state machine with the agreed parameters.
func (q *queuePair) ready(own, peer roceaddr.Address, mtu int) {
	e := q.engine
	o := &e.adapter.options
	window := maxWindow
	if peer.Window > 0 {
		window = min(window, int(peer.Window))
	}
	machine := rc.New(rc.Config{
		Conn: q.cfg.Conn, PeerQPN: peer.QPN, SendPSN: own.PSN, RecvPSN: peer.PSN,
		MTU:       mtu,
		SendDepth: int(q.cfg.SendDepth), InlineBytes: int(q.cfg.InlineBytes),
		MaxReads: min(int(own.Initiates), int(peer.Resources)), Resources: int(own.Resources),
		RNRTimer: uint8(o.rnrTimer), MinTimeout: o.minTimeout, AckTimeout: o.ackTimeout,
		Retries: o.retries, RNRRetries: o.rnrRetries, Window: window,
		Memory: q.domain, Receives: q, Sink: q, Counters: &e.counters.Counters,
	})
	e.Lock()
	q.machine = machine
	e.Unlock()
}

// isSoftroce reports whether an address is that of an engine of this package, which
// sends from the port at which it receives: others have no socket buffer to protect.
func isSoftroce(a roceaddr.Address) bool { return a.Window > 0 }

// maxWindow bounds the packets that one connection has in flight.
const maxWindow = 256
