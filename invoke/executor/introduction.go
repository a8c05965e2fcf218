package executor

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/framing"
	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
)

// introduced reports whether the supervisor has to inspect the set-up of connections.
func (e *Executor) introduced() bool { return e.confined != nil && isSoftroce(e.transport()) }

// introduction is the beginning of a set-up stream between a client and an isolated
// executor that has a UDP socket. Each end sends its address, and the path MTU it is ready
// for. The supervisor inspects and bounds them: the executor's code must not choose where
// its packets may go (confine.Egress), and an isolated process cannot look up routes.
type introduction struct {
	executor *Executor
	client   net.Conn
	peer     netip.AddrPort // the client's device, once packets may be sent there

	near, far atomic.Int64 // path MTUs of the executor and the client; 0: not known yet
	route     atomic.Int64 // path MTU of the route to the client; 0: not known
}

// introduce relays between a client and the executor. Until the stream ends, the executor
// may send to the client.
func (e *Executor) introduce(client, near net.Conn) {
	i := &introduction{executor: e, client: client}
	var both sync.WaitGroup
	for _, way := range []struct {
		to, from net.Conn
		inspect  func(exchange int, message []byte) error
	}{{near, client, i.inspectClient}, {client, near, i.inspectExecutor}} {
		both.Go(func() {
			if carryExchanges(way.to, way.from, way.inspect) == nil {
				io.Copy(way.to, way.from) // an error means that the stream has ended
			}
			client.Close()
			near.Close()
		})
	}
	both.Wait()
	if i.peer.IsValid() {
		e.confined.ForgetPeer(i.peer) // an error means that the executor has ended
	}
}

// exchanges is how many exchange frames each end sends: its address, and its path MTU.
// Before them come a hello and its answer, which may have been read already.
const exchanges = 2

// carryExchanges copies frames up to the last exchange. inspect is called with each exchange
// first, and may change it. A frame of another kind is copied, for the receiver to refuse;
// inspect is not called after it.
func carryExchanges(to io.Writer, from io.Reader, inspect func(exchange int, message []byte) error) error {
	for n := 0; n < exchanges; {
		frame := make([]byte, framing.HeaderBytes)
		if got, err := io.ReadFull(from, frame); err != nil {
			to.Write(frame[:got])
			return err
		}
		h := framing.Decode(frame)
		if h.Size > framing.MaxBytes || h.Kind != framing.Hello && h.Kind != framing.Accept && h.Kind != framing.Exchange {
			_, err := to.Write(frame)
			return err
		}
		frame = append(frame, make([]byte, h.Size)...)
		if got, err := io.ReadFull(from, frame[framing.HeaderBytes:]); err != nil {
			to.Write(frame[:framing.HeaderBytes+got])
			return err
		}
		if h.Kind == framing.Exchange {
			if err := inspect(n, frame[framing.HeaderBytes:]); err != nil {
				return err
			}
			n++
		}
		if _, err := to.Write(frame); err != nil {
			return err
		}
	}
	return nil
}

// inspectClient passes a client's address on only when the executor may send there. An error
// is sent to the client; the executor only sees that the client has hung up.
func (i *introduction) inspectClient(exchange int, message []byte) error {
	var err error
	if exchange == 0 {
		err = i.allow(message)
	} else {
		err = i.bound(message)
	}
	if err != nil {
		transport.Refuse(i.client, transport.Rejection{Reason: err.Error()})
	}
	return err
}

// inspectExecutor keeps the executor from promising more than the route's path MTU.
func (i *introduction) inspectExecutor(exchange int, message []byte) error {
	if exchange > 0 {
		return i.bound(message)
	}
	if a, err := roceaddr.Decode(message); err == nil {
		i.near.Store(int64(a.MTU))
	}
	return nil
}

// allow lets the executor send packets to the client.
func (i *introduction) allow(message []byte) error {
	a, err := roceaddr.Decode(message)
	if err != nil {
		return nil // the executor refuses it, and can then send nowhere
	}
	own, peer := localAddress(i.executor.transport()), netip.AddrPortFrom(a.GID, a.Port)
	if i.executor.confined.Report().Applied(confine.Egress) {
		if i.executor.assignment.Runtime != runtime.Wasm { // which sends nothing by itself
			if err := credible(peer, i.client.RemoteAddr(), own); err != nil {
				return err
			}
		}
		if err := i.executor.confined.AllowPeer(peer); err != nil {
			return err
		}
		i.peer = peer
	}
	i.far.Store(int64(a.MTU))
	if own.Is4() != a.GID.Is4() || own.IsLinkLocalUnicast() {
		return nil // the executor refuses it; or an interface is to be named
	}
	route, err := roceaddr.RouteMTU(own, peer)
	if err != nil {
		return fmt.Errorf("executor: %w", err)
	}
	i.route.Store(int64(route))
	return nil
}

// bound limits the path MTU in an end's message to that of the route. A client that sends
// none uses what both ends can do, so that has to fit.
func (i *introduction) bound(message []byte) error {
	route, most := int(i.route.Load()), int(min(i.near.Load(), i.far.Load()))
	if route == 0 {
		return nil
	}
	if said, told := roceaddr.DecodeReady(message); told {
		copy(message, roceaddr.EncodeReady(min(said, route)))
	} else if route < most {
		return fmt.Errorf("executor: the route to %v has room for a path MTU of %d, and the client, which is no softroce, is ready for %d; open its device with the parameter mtu=%d",
			i.client.RemoteAddr(), route, most, route)
	}
	return nil
}
