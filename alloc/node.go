package alloc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/accounting"
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

// grant is a lease that is held.
type grant struct {
	node    *node
	id      lease.ID
	secret  lease.Secret
	workers int
	leaving chan struct{} // closed: use it no more
	ended   chan struct{} // closed: the agent has ended it, or will not be heard of it

	usage   accounting.Usage // what it has cost, when it has ended
	claimed bool             // its counts are what its own code says

	mu     sync.Mutex
	losses map[lost]lease.Event
	news   chan struct{} // closed when there is a loss

	users int // workers that lanes have, or have not had yet; of the pool's lock
}

// lost names a process of a worker.
type lost struct {
	worker  int
	attempt uint32
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

// stop ends it, when nobody uses it any more.
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

// startedAnew connects at once to an agent that is there again: what is under way to its
// life before, or to nobody, is of no use. n.mu is held.
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

// connected waits until the node was tried to connect to. An error says why that did not
// succeed.
func (n *node) connected(ctx context.Context) error {
	n.start()
	select {
	case <-n.tried:
	case <-n.life.Done():
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.link == nil {
		return n.failure
	}
	return nil
}

func (n *node) now() time.Duration { return time.Since(n.begun) }

const (
	dialTimeout = 10 * time.Second
	// The pause between two connections.
	leastPause, mostPause = 10 * time.Millisecond, 2 * time.Second
	// spin is how long to poll for an answer before sleeping.
	spin = 20 * time.Microsecond
)

// run connects, and connects again.
func (n *node) run() {
	life := n.life
	for pause := leastPause; life.Err() == nil; {
		attempt, hurry := context.WithCancel(life)
		n.mu.Lock()
		n.hurry = hurry
		n.mu.Unlock()
		begun := time.Now()
		err := n.connect(attempt)
		if err == nil {
			n.wasTried(nil)
			err = n.poll(life)
		}
		n.disconnect(err)
		n.wasTried(err)
		if time.Since(begun) > mostPause {
			pause = leastPause
		}
		select {
		case <-time.After(pause - rand.N(pause/2+1)):
			pause = min(2*pause, mostPause)
		case <-attempt.Done():
			pause = leastPause
		}
		hurry()
	}
}

// wasTried says that there was an attempt to connect.
func (n *node) wasTried(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.failure = err
	}
	if !isClosed(n.tried) {
		close(n.tried)
	}
}

func (n *node) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	stream, err := n.client.cfg.Dial(ctx, n.address)
	if err != nil {
		return err
	}
	cfg := link.Config(n.domain, n.queue)
	cfg.PrivateData = (&lease.Hello{Name: n.client.cfg.Tenant, Token: n.client.cfg.Token}).Encode()
	var h lease.Hello
	cfg.Authorize = func(_ context.Context, peer transport.Peer) error { return h.Decode(peer.PrivateData) }
	conn, err := n.client.cfg.Device.Connect(ctx, stream, cfg)
	if r, ok := errors.AsType[*transport.RejectedError](err); ok && r.Code == uint32(lease.Stranger) {
		n.mu.Lock()
		defer n.mu.Unlock()
		return &lease.RefusedError{Node: n.name(), Reason: lease.Stranger, Text: r.Reason}
	} else if err != nil {
		return explain(n.address, err)
	}
	l, err := link.New(conn, n.domain)
	if err == nil {
		err = l.Start()
	}
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.title.Store(&h.Name)
	n.link, n.epoch, n.draining = l, max(n.epoch, h.Epoch), false
	n.hear(h.Free)
	n.state.Connected(n.now(), h.Epoch)
	n.settle()
	n.client.log.Info("agent connected", "node", h.Name, "address", n.address, "free", h.Free.String())
	return nil
}

// poll takes what the agent sends until the connection ends.
func (n *node) poll(ctx context.Context) error {
	var completions [2 * link.Completions]transport.Completion
	var m lease.Message
	l := n.link
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { l.Conn.Close() })()
	go func() {
		select {
		case <-l.Conn.Done():
			cancel(l.Conn.Err())
		case <-ctx.Done():
		}
	}()
	for {
		k, err := n.queue.Wait(ctx, completions[:], spin)
		if err != nil {
			return context.Cause(ctx)
		}
		for i := range completions[:k] {
			c := &completions[i]
			if c.Conn != l.Conn.ID() {
				continue // of the one before
			}
			got, err := l.Completed(c, &m)
			if err == nil && got {
				n.mu.Lock()
				err = n.state.Receive(n.now(), &m)
				n.settle()
				n.mu.Unlock()
			}
			if err != nil {
				return err
			}
		}
	}
}

// isConnected says whether there is a connection to the agent.
func (n *node) isConnected() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link != nil && n.link.Conn.Err() == nil
}

// waiting says that the agent has yet to get a message, or to answer one.
func (n *node) waiting() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link != nil && n.link.Conn.Err() == nil && (n.state.Waiting() || !n.link.Idle())
}

// disconnect forgets the connection; leases live on.
func (n *node) disconnect(why error) {
	n.mu.Lock()
	l := n.link
	n.link, n.failure = nil, why
	for id, g := range n.returned {
		delete(n.returned, id)
		close(g.ended)
	}
	n.state.Disconnected(fmt.Sprint(why))
	n.settle()
	n.mu.Unlock()
	if l != nil {
		n.client.log.Info("agent disconnected", "node", n.name(), "reason", why)
		l.Close()
	}
}

// settle carries out what the state machine wants, which may make it want more. n.mu is
// held.
func (n *node) settle() {
	next := n.state.Tick(n.now())
	for {
		n.messages = n.state.Messages(n.messages[:0])
		n.events = n.state.Events(n.events[:0])
		if len(n.messages)+len(n.events) == 0 {
			break
		}
		n.send()
		for i := range n.events {
			n.happened(&n.events[i])
		}
		next = n.state.Tick(n.now())
	}
	if next < n.armed {
		n.armed = next
		select {
		case n.alarm <- struct{}{}:
		default:
		}
	}
}

// send sends messages. n.mu is held.
func (n *node) send() {
	for i := range n.messages {
		if n.link == nil {
			return
		}
		if err := n.link.Send(&n.messages[i]); err != nil {
			conn := n.link.Conn
			go conn.Close() // poll finds out
			return
		}
	}
}

// happened takes an event. n.mu is held.
func (n *node) happened(e *lease.Event) {
	switch e.Kind {
	case lease.WasGranted, lease.WasRefused, lease.WasNeeded:
		if e.Kind == lease.WasRefused && (e.Reason == lease.NoCores || e.Reason == lease.NoMemory) {
			n.hear(e.Free)
		}
		if e.Kind == lease.WasGranted {
			t := &e.Lease.Terms
			n.hear(lease.Capacity{Cores: max(n.free.Cores-t.Workers*t.Cores, 0), MemoryBytes: n.free.MemoryBytes})
			n.granted[e.Lease.ID] = &grant{node: n, id: e.Lease.ID, secret: e.Lease.Secret, workers: t.Workers, users: t.Workers, leaving: make(chan struct{}), ended: make(chan struct{}), losses: map[lost]lease.Event{}, news: make(chan struct{})}
		}
		if answer, ok := n.answers[e.Number]; ok {
			delete(n.answers, e.Number)
			answer <- *e
		} else if e.Kind == lease.WasGranted {
			n.state.Return(e.Lease.ID) // whoever asked did not wait
			delete(n.granted, e.Lease.ID)
		} else if n.taken != nil {
			select {
			case n.taken <- *e:
			default:
			}
		}
	case lease.WasTaken:
		if n.taken != nil {
			select {
			case n.taken <- *e:
			default:
			}
		}
	case lease.WasNoticed, lease.WasEnded:
		g := n.granted[e.Lease.ID]
		if g == nil {
			g = n.returned[e.Lease.ID]
		}
		if g == nil {
			return
		}
		if e.Kind == lease.WasEnded {
			delete(n.granted, e.Lease.ID)
			delete(n.returned, e.Lease.ID)
			n.hear(lease.Capacity{Cores: n.free.Cores + e.Lease.Terms.Workers*e.Lease.Terms.Cores, MemoryBytes: n.free.MemoryBytes})
			g.usage, g.claimed = e.Usage, e.Claimed
			close(g.ended)
		}
		if !isClosed(g.leaving) {
			close(g.leaving)
		}
		n.client.log.Info("lease ends", "node", n.name(), "lease", e.Lease.ID, "reason", e.Reason.String(), "text", e.Text, "left", e.After)
	case lease.WasLost:
		if g := n.granted[e.Lease.ID]; g != nil {
			g.lost(e)
		}
	case lease.WasDraining:
		n.draining, n.heard = true, n.now()
		n.client.log.Info("node drains", "node", n.name())
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// keepTime does what is due.
func (n *node) keepTime() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-n.life.Done():
			return
		case <-n.alarm:
		case <-timer.C:
		}
		n.mu.Lock()
		n.armed = n.state.Tick(n.now())
		n.settle()
		wait := min(n.armed-n.now(), time.Hour)
		n.mu.Unlock()
		timer.Reset(max(wait, 0))
	}
}

// lost notes how a process of a worker ended.
func (g *grant) lost(e *lease.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.losses[lost{e.Worker, e.Number}] = *e
	close(g.news)
	g.news = make(chan struct{})
}

// fate is how the process of an attempt ended; ok is false if it is not known when the
// context ends.
func (g *grant) fate(ctx context.Context, worker int, attempt uint32) (e lease.Event, ok bool) {
	for {
		g.mu.Lock()
		e, ok = g.losses[lost{worker, attempt}]
		delete(g.losses, lost{worker, attempt})
		news := g.news
		g.mu.Unlock()
		if ok {
			return e, true
		}
		select {
		case <-news:
		case <-ctx.Done():
			return e, false
		}
	}
}

// giveBack returns the lease.
func (g *grant) giveBack() {
	n := g.node
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.granted[g.id] == nil {
		return
	}
	delete(n.granted, g.id)
	if !isClosed(g.leaving) {
		close(g.leaving)
	}
	if n.link == nil {
		close(g.ended) // it will expire
	} else {
		n.returned[g.id] = g
	}
	n.state.Return(g.id)
	n.settle()
}
