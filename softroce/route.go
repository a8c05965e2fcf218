package softroce

import "github.com/rfaas-go/rfaas/internal/roceaddr"

// routeMTU is the largest path MTU, not above mtu, for which the route to the peer
// has room: mtu itself where this process cannot look routes up. Who has isolated it
// sees to that then, see package executor.
func (q *queuePair) routeMTU(mtu int) (int, error) {
	fits, err := roceaddr.RouteMTU(q.engine.socket.local.Addr(), q.peer)
	switch {
	case err != nil:
		return 0, err
	case fits == 0:
		return mtu, nil
	}
	return min(mtu, fits), nil
}
