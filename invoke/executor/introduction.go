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

// introduced says whether the supervisor has to hear how clients and the executor get to
// know each other.
func (e *Executor) introduced() bool { return e.confined != nil && isSoftroce(e.transport()) }

// introduction is the beginning of a set-up stream between a client and an isolated
// executor that has a UDP socket. The two tell each other where they are, and what their
// routes have room for. The supervisor listens in, because the executor's code is not to say where its
// packets may go (confine.Egress), and because an isolated process cannot look routes up.
type introduction struct {
	executor *Executor
	client   net.Conn
	peer     netip.AddrPort // the client's device, once packets may go there

	near, far atomic.Int64 // path MTUs that the executor and the client can do; 0: not said yet
	route     atomic.Int64 // that the route to the client has room for; 0: not known
}

// introduce relays between a client and the executor, which may send to the client as
// long as that lasts.
func (e *Executor) introduce(client, near net.Conn) {
	i := &introduction{executor: e, client: client}
	var both sync.WaitGroup
	for _, way := range []struct {
		to, from net.Conn
		hear     func(exchange int, message []byte) error
	}{{near, client, i.hearClient}, {client, near, i.hearExecutor}} {
		both.Go(func() {
			if carryExchanges(way.to, way.from, way.hear) == nil {
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

// exchanges is how many there are each way: of an address, and of what the route has room
// for. Before them there are a hello and its answer, of which either may have been read.
const exchanges = 2

// carryExchanges copies frames up to the last exchange, each after hear has heard it and
// perhaps changed it. What is no such frame is the receiver's to refuse: it is copied, and
// nothing after it is heard.
func carryExchanges(to io.Writer, from io.Reader, hear func(exchange int, message []byte) error) error {
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
			if err := hear(n, frame[framing.HeaderBytes:]); err != nil {
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

// hearClient has the executor get what names the client only when it may send there. An
// error is the client's to be told; the executor is only told that it hung up.
func (i *introduction) hearClient(exchange int, message []byte) error {
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

// hearExecutor does not let the executor promise more than the route has room for.
func (i *introduction) hearExecutor(exchange int, message []byte) error {
	if exchange > 0 {
		return i.bound(message)
	}
	if a, err := roceaddr.Decode(message); err == nil {
		i.near.Store(int64(a.MTU))
	}
	return nil
}

// allow lets packets to the client out.
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

// bound makes of a message of an end that is ready one that says no more than the route
// has room for. A client that says nothing is ready for what both can do.
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
