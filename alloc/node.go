package alloc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/internal/link"
	"github.com/rfaas-go/rfaas/transport"
)

// node is an agent, and the connection to it.
type node struct {
	client  *Client
	address string
	domain  *transport.ProtectionDomain
	queue   *transport.Queue
	begun   time.Time
	alarm   chan struct{}

	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	title   atomic.Pointer[string] // what the agent calls itself
	starts  sync.Once

	mu        sync.Mutex
	state     *lease.Client
	link      *link.Link // nil: not connected
	labels    map[string]string
	free      lease.Capacity
	draining  bool
	heard     time.Duration // when the agent itself said what is free, or caused it to change
	listed    *manager.Node // what the manager says, nil if it never did
	epoch     uint64        // the latest of the agent that is known; 0: none
	away      bool          // the manager does not list it any more
	failure   error         // why it is not connected
	tried     chan struct{} // closed when it was tried to connect
	hurry     func()        // ends an attempt to connect, and the pause after it; nil before the first
	armed     time.Duration
	answers   map[uint32]chan lease.Event // by number of the request
	granted   map[lease.ID]*grant
	returned  map[lease.ID]*grant // given back, and not ended yet
	messages  []lease.Message
	events    []lease.Event
	uploading sync.Mutex // one package at a time
	taken     chan lease.Event
}

func newNode(c *Client, address string) (*node, error) {
	n := &node{
		client: c, address: address, begun: time.Now(), heard: -fresh, alarm: make(chan struct{}, 1),
		state: lease.NewClient(), tried: make(chan struct{}), answers: map[uint32]chan lease.Event{}, granted: map[lease.ID]*grant{}, returned: map[lease.ID]*grant{},
		failure: errors.New("there is no connection yet"),
	}
	n.title.Store(&n.address)
	n.life, n.end = context.WithCancel(c.life)
	var err error
	if n.domain, err = c.cfg.Device.NewProtectionDomain(); err == nil {
		n.queue, err = c.cfg.Device.NewQueue(2 * link.Completions) // of the connection before, too
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("alloc: %w", err), n.release())
	}
	return n, nil
}

func (n *node) release() error {
	var errs []error
	if n.queue != nil {
		errs = append(errs, n.queue.Close())
	}
	if n.domain != nil {
		errs = append(errs, n.domain.Close())
	}
	return errors.Join(errs...)
}

// start begins to connect; once.
func (n *node) start() {
	n.starts.Do(func() {
		n.running.Add(2)
		n.client.ending.Go(func() { defer n.running.Done(); n.run() })
		n.client.ending.Go(func() { defer n.running.Done(); n.keepTime() })
	})
}

// stop ends it. It must not be in use.
func (n *node) stop() {
	n.end()
	n.running.Wait()
	if err := n.release(); err != nil {
		n.client.log.Warn("a node is left behind", "node", n.name(), "reason", err)
	}
}

// list takes what the manager says of the node.
func (n *node) list(m *manager.Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.title.Store(&m.ID)
	if n.away || n.epoch != 0 && m.Epoch > n.epoch {
		n.startedAnew(m.Epoch)
	}
	n.labels, n.away, n.listed = m.Labels, false, m
	n.epoch = max(n.epoch, m.Epoch)
	n.look()
}

// startedAnew connects at once to an agent that is there again: a connection or an attempt
// to its earlier life is of no use. n.mu is held.
func (n *node) startedAnew(epoch uint64) {
	if n.link != nil {
		if epoch <= n.epoch {
			return // only the manager had lost it
		}
		conn := n.link.Conn
		go conn.Close() // poll finds out
	}
	if n.hurry != nil {
		n.hurry()
	}
}

// fresh is for how long an agent's own word counts more than what the manager lists: it
// is told within a part of that.
const fresh = time.Second

// look takes what the manager lists, unless the agent itself was heard lately. n.mu is
// held.
func (n *node) look() {
	if n.listed != nil && n.now()-n.heard >= fresh {
		n.free = lease.Capacity{Cores: n.listed.FreeCores, MemoryBytes: n.listed.FreeBytes}
		n.draining = n.listed.Draining
	}
}

// hear takes what the agent has free by its own word. n.mu is held.
func (n *node) hear(free lease.Capacity) { n.free, n.heard = free, n.now() }

// known is what the node is said to have free.
func (n *node) known() lease.Capacity {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.look()
	return n.free
}

// bootEpoch is the latest epoch of the agent that is known, 0 for none.
func (n *node) bootEpoch() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.epoch
}

// name is what the agent calls itself, or its address.
func (n *node) name() string { return *n.title.Load() }

// unlist says that the manager does not name the node any more, and whether it can be
// forgotten. Leases that it has granted live on: only the manager may have lost it.
func (n *node) unlist() (unused bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.away = true
	return len(n.granted) == 0 && len(n.answers) == 0
}

func (n *node) now() time.Duration { return time.Since(n.begun) }
