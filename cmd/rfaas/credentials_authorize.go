package main

import (
	"fmt"
	"net"
	"net/http"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/internal/tokens"
	"github.com/rfaas-go/rfaas/transport"
)

// authorize is a manager.Config's: nodes register under their own names only.
func (c *serverCredentials) authorize(r *http.Request, as manager.Role) error {
	if as != manager.Agent {
		_, err := c.tokens.OfRequest(r, tokens.Roles...)
		return err
	}
	who, err := c.tokens.OfRequest(r, tokens.Node)
	return ofNode(r.PathValue("id"), who, err)
}

// authorizeNode is a words.ServerConfig's: nodes have accounts under their own names only.
func (c *serverCredentials) authorizeNode(_ transport.Peer, node string, token []byte) error {
	who, err := c.tokens.Identify(token, tokens.Node)
	return ofNode(node, who, err)
}

// ofNode refuses every token but that of a node.
func ofNode(name string, who tokens.Identity, err error) error {
	if err == nil && who.Name != name {
		err = fmt.Errorf("the token is that of the %v, and not of %.64q", who, name)
	}
	return err
}

// authenticate is an agent.Config's: over TCP the token says who the tenant is, whatever
// it calls itself. Over Unix sockets there are the agent's own user and root only, and they say
// it themselves.
func (c *serverCredentials) authenticate(peer transport.Peer, h *lease.Hello) (tenant string, err error) {
	if _, ok := peer.Address.(*net.UnixAddr); ok {
		return agent.Local(peer, h)
	}
	who, err := c.tokens.Identify(h.Token, tokens.Tenant)
	return who.Name, err
}

// forOwners passes on the requests of owners only.
func (c *serverCredentials) forOwners(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := c.tokens.OfRequest(r, tokens.Owner); err != nil {
			refuseRequest(w, http.StatusForbidden, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}
