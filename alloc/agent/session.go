package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/internal/link"
	"github.com/rfaas-go/rfaas/transport"
)

// session is a connection of a tenant.
type session struct {
	agent    *Agent
	endpoint *endpoint
	id       lease.Session
	tenant   string
	link     *link.Link
	failed   sync.Once

	uploading sync.Mutex // held while a piece is read
	upload    *upload
}

// open makes a session of a peer that greets.
func (a *Agent) open(ctx context.Context, r *transport.Request) error {
	reject := func(err error) error {
		_ = r.Reject(transport.Rejection{Reason: err.Error()})
		return err
	}
	var h lease.Hello
	peer := r.Peer()
	if err := h.Decode(peer.PrivateData); err != nil {
		return reject(err)
	}
	tenant, err := a.cfg.Authenticate(peer, &h)
	if err != nil {
		a.count(func(c *counts) { c.refused[lease.Stranger]++ })
		_ = r.Reject(transport.Rejection{Code: uint32(lease.Stranger), Reason: err.Error()})
		return err
	}
	e := a.endpointFor(peer)
	if e == nil {
		return reject(fmt.Errorf("the peer speaks %s, and this agent %v", peer.Wire, a.cfg.Transports))
	}
	if !e.enter() {
		return reject(fmt.Errorf("there are %d sessions, as many as this agent takes", e.room))
	}
	cfg := link.Config(e.domain, e.queue)
	cfg.PrivateData = (&lease.Hello{Name: a.cfg.Name, Epoch: a.cfg.Epoch, Free: a.Free()}).Encode()
	cfg.Authorize = func(context.Context, transport.Peer) error { return nil } // it was
	conn, err := r.Accept(ctx, cfg)
	if err != nil {
		e.leave()
		return err
	}
	l, err := link.New(conn, e.domain)
	if err != nil {
		conn.Close()
		e.leave()
		return err
	}
	s := &session{agent: a, endpoint: e, tenant: tenant, link: l}
	e.mu.Lock()
	e.sessions[conn.ID()] = s
	e.mu.Unlock()
	a.with(func(n *lease.Node, _ time.Duration) {
		a.lastSession++
		s.id = a.lastSession
		a.sessions[s.id] = s
		n.Connect(s.id, tenant)
	})
	a.ending.Go(func() {
		select {
		case <-conn.Done():
		case <-a.life.Done():
		}
		s.close()
	})
	if err := l.Start(); err != nil {
		s.fail(err)
	}
	a.log.Info("tenant connected", "tenant", tenant, "peer", peer.String())
	return nil
}

// endpointFor is the one that a peer can connect to.
func (a *Agent) endpointFor(peer transport.Peer) *endpoint {
	for _, e := range a.endpoints {
		if e.device.Capabilities().Wire == peer.Wire {
			return e
		}
	}
	return nil
}

// receive hands a message to the state machine. An error is the peer's fault.
func (a *Agent) receive(s *session, m *lease.Message) (err error) {
	a.with(func(n *lease.Node, now time.Duration) { err = n.Receive(now, s.id, m) })
	return err
}

// send sends a message; a.mu is held.
func (s *session) send(m *lease.Message) {
	if err := s.link.Send(m); err != nil {
		s.fail(err)
	}
}

// fail ends a session whose peer is at fault or gone. It returns at once.
func (s *session) fail(why error) {
	s.failed.Do(func() {
		s.agent.log.Info("tenant disconnected", "tenant", s.tenant, "reason", why)
		s.agent.ending.Go(func() { s.link.Conn.Close() })
	})
}

// close frees what a session has. Its leases live on.
func (s *session) close() error {
	a, e := s.agent, s.endpoint
	a.with(func(n *lease.Node, _ time.Duration) {
		delete(a.sessions, s.id)
		n.Disconnect(s.id)
	})
	id := s.link.Conn.ID()
	e.mu.Lock()
	if e.sessions[id] == s {
		delete(e.sessions, id)
		e.taken--
	}
	e.mu.Unlock()
	err := s.link.Close()
	s.uploading.Lock()
	defer s.uploading.Unlock()
	s.endUpload()
	return err
}
