package agent

import (
	"errors"
	"net"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/transport"
)

// Local is the Config.Authenticate of an agent that serves its own machine only. A peer is
// the tenant that it names if it is the agent's user or root, over a Unix socket, or comes
// over TCP from the loopback. Others are refused. Any goroutine may call it.
func Local(peer transport.Peer, h *lease.Hello) (tenant string, err error) {
	switch a := peer.Address.(type) {
	case *net.UnixAddr:
		if peer.Credentials != nil && peer.Credentials.Trusted() {
			return h.Name, nil
		}
		return "", errors.New("this agent serves its own user only")
	case *net.TCPAddr:
		if a.IP.IsLoopback() {
			return h.Name, nil
		}
	}
	return "", errors.New("this agent serves its own machine only")
}
