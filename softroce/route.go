package softroce

import "github.com/rfaas-go/rfaas/internal/roceaddr"

// routeMTU is the largest path MTU, not above mtu, that fits the route to the peer.
// It is mtu itself where this process cannot look routes up: package executor, which
// isolates processes, then checks the route.
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
