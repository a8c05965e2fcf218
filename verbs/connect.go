package verbs

import (
	"context"
	"fmt"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// rocePort is the UDP port that devices send to.
const rocePort = 4791

// hopLimit is how many routers packets may pass.
const hopLimit = 64

// Connect implements transport.QP: it swaps addresses with the peer, gets ready to
// receive, and when the peer is, too, ready to send.
func (q *queuePair) Connect(_ context.Context, x transport.Exchanger) error {
	a := q.adapter
	access := ibv.AccessLocalWrite | ibv.AccessRemoteRead | ibv.AccessRemoteWrite
	if a.attr.AtomicCap > 0 {
		access |= ibv.AccessRemoteAtomic // each region decides what is granted
	}
	if err := q.qp.ToInit(a.port.number, access); err != nil {
		return err
	}
	own := roceaddr.Address{
		GID: gidAddr(a.port.gid.Addr), LID: a.port.lid, QPN: q.qp.QPN, PSN: a.firstPSN(), MTU: uint16(a.mtu()),
		Resources: uint16(a.resources()), Initiates: uint16(a.initiates()), Port: rocePort, Tell: true,
	}
	msg, fds, err := x.Exchange(own.Encode(), nil)
	provider.CloseDescriptors(fds)
	if err != nil {
		return err
	}
	peer, err := roceaddr.Decode(msg)
	if err == nil {
		err = a.checkPeer(peer)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", transport.ErrInvalid, err)
	}
	q.mu.Lock()
	q.own, q.peer = own, peer
	q.mu.Unlock()
	if err := q.readyToReceive(own, peer); err != nil {
		return err
	}
	_, fds, err = x.Exchange([]byte("ready"), nil)
	provider.CloseDescriptors(fds)
	if err != nil {
		return err
	}
	err = q.qp.ToRTS(ibv.RTS{
		PSN: own.PSN, MaxRdAtomic: min(int(own.Initiates), int(peer.Resources)),
		Timeout: a.options.ackTimeout, RetryCount: a.options.retries, RNRRetry: a.options.rnrRetries,
	})
	if err == nil {
		return nil
	}
	// The peer may be ready sooner, and its requests may fail the connection before this
	// end can send: then the set-up succeeds, with a connection that has ended.
	if state, queryErr := q.qp.Query(); queryErr == nil && state.State == ibv.StateError {
		return nil
	}
	return err
}

func (q *queuePair) readyToReceive(own, peer roceaddr.Address) error {
	a := q.adapter
	return q.qp.ToRTR(ibv.RTR{
		MTU: min(int(own.MTU), int(peer.MTU)), DestQPN: peer.QPN, PSN: peer.PSN,
		MaxDestRdAtomic: int(own.Resources), MinRNRTimer: a.options.rnrTimer,
		Port: a.port.number, SGIDIndex: a.port.gid.Index, DGID: peer.GID.As16(), DLID: peer.LID,
		SL: a.options.sl, TrafficClass: a.options.tc, HopLimit: hopLimit,
		Global: a.port.wire == roceaddr.Wire,
	})
}

// checkPeer refuses a peer that a device cannot send to.
func (a *Adapter) checkPeer(peer roceaddr.Address) error {
	if a.port.wire != roceaddr.Wire {
		return nil
	}
	own := gidAddr(a.port.gid.Addr)
	switch {
	case peer.Port != rocePort:
		return fmt.Errorf("the peer listens on UDP port %d, and devices send to %d only; open it there, softroce://%v", peer.Port, rocePort, peer.GID)
	case peer.GID.Is4() != own.Is4() || peer.GID.IsLoopback():
		return fmt.Errorf("the peer's address is %v and this end's %v: neither can reach the other; open both devices on addresses of one network", peer.GID, own)
	}
	return nil
}

// firstPSN is the first packet sequence number of a queue pair.
func (a *Adapter) firstPSN() uint32 {
	if a.options.psn >= 0 {
		return uint32(a.options.psn)
	}
	return provider.Random32() & (1<<24 - 1)
}
