package agent

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/internal/link"
	"github.com/rfaas-go/rfaas/transport"
)

// endpoint is a device with the sessions over it.
type endpoint struct {
	agent  *Agent
	url    string
	device *transport.Device
	domain *transport.ProtectionDomain
	queue  *transport.Queue
	room   int // for sessions

	mu       sync.Mutex
	sessions map[uint32]*session // by connection
	taken    int                 // of the room, by sessions being set up too
}

// mostCompletions bounds the queue of an endpoint, and so its sessions.
const mostCompletions = 1 << 14

func newEndpoint(a *Agent, url string) (*endpoint, error) {
	device, err := transport.Open(url)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	e := &endpoint{agent: a, url: url, device: device, sessions: map[uint32]*session{}}
	depth := min(int(device.Capabilities().MaxQueueDepth), mostCompletions)
	e.room = depth / link.Completions
	if e.domain, err = device.NewProtectionDomain(); err == nil {
		e.queue, err = device.NewQueue(depth)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("agent: %w", err), device.Close())
	}
	return e, nil
}

// enter takes room for a session, if there is some.
func (e *endpoint) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.taken == e.room {
		return false
	}
	e.taken++
	return true
}

func (e *endpoint) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.taken--
}

func (e *endpoint) session(conn uint32) *session {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sessions[conn]
}

// poll hands on what arrives, until the agent ends.
func (e *endpoint) poll() {
	var completions [64]transport.Completion
	var m lease.Message
	for {
		n, err := e.queue.Wait(e.agent.life, completions[:], e.agent.cfg.Hot)
		if err != nil {
			return
		}
		for i := range completions[:n] {
			c := &completions[i]
			s := e.session(c.Conn)
			if s == nil {
				continue // it has gone
			}
			got, err := s.link.Completed(c, &m)
			if err == nil && got {
				err = e.agent.receive(s, &m)
			}
			if err != nil {
				s.fail(err)
			}
		}
	}
}

func (e *endpoint) close() error { return e.device.Close() }

// Transport is what an agent offers.
type Transport struct {
	Scheme   string // of the URL, without decorators
	Wire     string // transport.Capabilities.Wire
	UnixOnly bool   // connections are set up over Unix sockets only
}

// scheme is that of the endpoint's URL, without decorators.
func (e *endpoint) scheme() string {
	name := e.device.Name()
	return name[strings.LastIndexByte(name, '+')+1:]
}

// Transports are those of the agent.
func (a *Agent) Transports() []Transport {
	var all []Transport
	for _, e := range a.endpoints {
		c := e.device.Capabilities()
		all = append(all, Transport{e.scheme(), c.Wire, c.Features.Has(transport.FeatureUnixSocket)})
	}
	return all
}
