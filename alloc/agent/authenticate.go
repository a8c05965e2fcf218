package agent

import (
	"errors"
	"net"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/transport"
)

// Local is the Config.Authenticate of an agent for its own machine: over Unix sockets the
// agent's user and root, over TCP whoever comes from the loopback, is the tenant that it
// says. Nobody else is anybody. It may be called by several goroutines at once.
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
