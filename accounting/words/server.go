package words

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/transport"
)

// ServerConfig describes a server.
type ServerConfig struct {
	// Devices are what agents can connect over. They remain the caller's.
	Devices []*transport.Device
	// Ledger is where the words go. It remains the caller's.
	Ledger *accounting.Ledger
	// Authorize refuses an agent by an error, given the name and token of its greeting. If
	// nil, any process may be an agent, over a Unix socket only one of the same user or root.
	Authorize func(peer transport.Peer, node string, token []byte) error
	// Every is how often the words go to the ledger: 1 s if 0.
	Every time.Duration
	// Logger may be nil.
	Logger *slog.Logger
}

// Server has the words of the agents.
type Server struct {
	cfg ServerConfig
	log *slog.Logger

	mu     sync.Mutex
	totals map[key]accounting.Usage // of agents that are not connected, and what the ledger has
	agents map[string]*words        // by node
	making map[string]*sync.Mutex   // one set-up of a node at a time
}

// key is what a word's value is cumulative over.
type key struct {
	node    string
	epoch   uint64
	tenant  string
	claimed bool
}

// words are those of an agent.
type words struct {
	node    string
	conn    *transport.Conn
	domain  *transport.ProtectionDomain
	queue   *transport.Queue
	region  *transport.Region // the rows
	buffers *transport.Region // of messages, received and sent

	mu   sync.Mutex
	rows map[key]int // without claimed
}

// NewServer makes a server, whose words begin with what the ledger says.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	s := &Server{cfg: cfg, log: cfg.Logger, totals: map[key]accounting.Usage{}, agents: map[string]*words{}, making: map[string]*sync.Mutex{}}
	for _, e := range cfg.Ledger.Totals() {
		if e.Lease == 0 {
			s.totals[key{e.Node, e.Epoch, e.Tenant, e.Claimed}] = e.Usage
		}
	}
	return s
}

// setUpTimeout bounds the set-up of a connection, settingUp those under way at once.
const (
	setUpTimeout = 10 * time.Second
	settingUp    = 16
)

// Serve takes agents at a listener's address and writes their words to the ledger, until
// the context ends or the listener is closed. The listener remains the caller's.
func (s *Server) Serve(ctx context.Context, l *transport.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	setUps := make(chan struct{}, settingUp)
	for {
		r, err := l.Accept(ctx)
		if err != nil {
			return err
		}
		setUps <- struct{}{}
		all.Go(func() {
			w, err := s.admit(ctx, r)
			<-setUps
			if err != nil {
				s.log.Info("agent refused", "peer", r.Peer().String(), "reason", err)
				return
			}
			s.attend(ctx, w)
		})
	}
}

// Keep writes to the ledger what the words say, now and then, until the context ends,
// and once more then.
func (s *Server) Keep(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Every)
	defer ticker.Stop()
	for {
		over := false
		select {
		case <-ticker.C:
		case <-ctx.Done():
			over = true
		}
		if err := s.writeAll(); err != nil {
			s.log.Error("usage cannot be written to the ledger, and will be later", "reason", err)
		}
		if over {
			return
		}
	}
}

// writeAll appends what has changed, for each agent by itself: an error of one does not
// affect the others.
func (s *Server) writeAll() error {
	s.mu.Lock()
	agents := slices.Collect(maps.Values(s.agents))
	s.mu.Unlock()
	var errs []error
	for _, w := range agents {
		errs = append(errs, s.write(w))
	}
	return errors.Join(errs...)
}

// write writes what an agent's words say, if it is connected still.
func (s *Server) write(w *words) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agents[w.node] != w {
		return nil
	}
	return s.keep(w.values())
}

// has says whether there is a row for a tenant.
func (w *words) has(epoch uint64, tenant string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, there := w.rows[key{node: w.node, epoch: epoch, tenant: tenant}]
	return there
}

// values are what the words say.
func (w *words) values() map[key]accounting.Usage {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[key]accounting.Usage{}
	for k, row := range w.rows {
		for kind := range kinds {
			var u accounting.Usage
			for q := range accounting.Quantity(accounting.Quantities) {
				u[q] = w.region.Uint64(row*rowBytes + wordAt(kind, q)).Load()
			}
			k.claimed = kind == 1
			if !u.IsZero() {
				all[k] = u
			}
		}
	}
	return all
}

// admit makes the words of an agent that connects, after the end of those it had.
func (s *Server) admit(ctx context.Context, r *transport.Request) (*words, error) {
	ctx, cancel := context.WithTimeout(ctx, setUpTimeout)
	defer cancel()
	reject := func(err error) (*words, error) {
		_ = r.Reject(transport.Rejection{Reason: err.Error()})
		return nil, err
	}
	peer := r.Peer()
	h, err := decodeHello(peer.PrivateData)
	if err != nil {
		return reject(err)
	}
	cfg := transport.ConnConfig{SendDepth: messages, RecvDepth: messages}
	if s.cfg.Authorize != nil {
		if err := s.cfg.Authorize(peer, h.node, h.token); err != nil {
			return reject(err)
		}
		cfg.Authorize = func(context.Context, transport.Peer) error { return nil } // it was
	}
	var device *transport.Device
	for _, d := range s.cfg.Devices {
		if d.Capabilities().Wire == peer.Wire {
			device = d
		}
	}
	if device == nil {
		return reject(fmt.Errorf("the peer speaks %s, which is not offered here", peer.Wire))
	}
	defer s.lock(h.node)()
	s.retire(h.node) // from here on none of its old adds arrives
	w := &words{node: h.node, rows: map[key]int{}}
	if err := w.make(device); err != nil {
		return reject(errors.Join(err, w.free()))
	}
	cfg.Domain, cfg.SendQueue, cfg.RecvQueue = w.domain, w.queue, w.queue
	cfg.PrivateData = encodeAnswer(w.region.Remote(0, rows*rowBytes))
	if w.conn, err = r.Accept(ctx, cfg); err != nil {
		return nil, errors.Join(err, w.free())
	}
	s.mu.Lock()
	s.agents[h.node] = w
	s.mu.Unlock()
	s.log.Info("agent connected for accounting", "node", h.node, "epoch", h.epoch, "peer", peer.String())
	return w, nil
}

// lock makes set-ups of a node wait for each other.
func (s *Server) lock(node string) (unlock func()) {
	s.mu.Lock()
	m := s.making[node]
	if m == nil {
		m = new(sync.Mutex)
		s.making[node] = m
	}
	s.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// retire ends the words of a node, if there are any, and keeps their values.
func (s *Server) retire(node string) {
	s.mu.Lock()
	w := s.agents[node]
	s.mu.Unlock()
	if w != nil {
		s.end(w)
	}
}

// end ends the words of an agent, once: first the queue pair, so that no add comes
// later, then it takes their values.
func (s *Server) end(w *words) {
	w.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agents[w.node] != w {
		return
	}
	delete(s.agents, w.node)
	if err := s.keep(w.values()); err != nil { // the agent reads what there was, and adds the difference again
		s.log.Error("usage cannot be written to the ledger; the agent will report it again", "node", w.node, "reason", err)
	}
	if err := w.free(); err != nil {
		s.log.Warn("the words of an agent cannot be freed", "node", w.node, "reason", err)
	}
}

// keep enters values that have changed into the ledger. s.mu is held.
func (s *Server) keep(values map[key]accounting.Usage) error {
	now := time.Now().UTC().Truncate(time.Second)
	var entries []accounting.Entry
	for k, u := range values {
		if u == s.totals[k] {
			delete(values, k)
			continue
		}
		entries = append(entries, accounting.Entry{At: now, Node: k.node, Epoch: k.epoch, Tenant: k.tenant, Claimed: k.claimed, Usage: u})
	}
	if len(entries) == 0 {
		return nil
	}
	if err := s.cfg.Ledger.Append(entries...); err != nil {
		return err
	}
	maps.Copy(s.totals, values)
	return nil
}

func (w *words) make(device *transport.Device) (err error) {
	if w.domain, err = device.NewProtectionDomain(); err != nil {
		return err
	}
	if w.queue, err = device.NewQueue(2 * messages); err != nil {
		return err
	}
	if w.region, err = w.domain.Alloc(rows*rowBytes, transport.RemoteRead|transport.RemoteAtomic); err != nil {
		return err
	}
	w.buffers, err = w.domain.Alloc(2*messages*messageBytes, transport.LocalOnly)
	return err
}

func (w *words) free() error {
	var errs []error
	if w.conn != nil {
		errs = append(errs, w.conn.Close())
	}
	for _, r := range []*transport.Region{w.region, w.buffers} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	if w.queue != nil {
		errs = append(errs, w.queue.Close())
	}
	if w.domain != nil {
		errs = append(errs, w.domain.Close())
	}
	return errors.Join(errs...)
}

// attend gives an agent rows, until it ends.
func (s *Server) attend(ctx context.Context, w *words) {
	defer s.end(w)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-w.conn.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	for i := range messages {
		if _, err := w.conn.PostRecv(transport.Recv(uint64(i), w.span(i))); err != nil {
			return
		}
	}
	var completions [2 * messages]transport.Completion
	for {
		n, err := w.queue.Wait(ctx, completions[:], 0)
		if err != nil {
			return
		}
		for i := range completions[:n] {
			c := &completions[i]
			if c.Err() != nil {
				return
			}
			if c.Op != transport.OpRecv {
				continue
			}
			if err := s.answer(w, int(c.ID), int(c.Bytes)); err != nil {
				s.log.Warn("the connection of an agent for accounting ends", "node", w.node, "reason", err)
				return
			}
		}
	}
}

func (w *words) span(buffer int) transport.Span {
	return w.buffers.Span(buffer*messageBytes, messageBytes)
}

// answer gives a row. What an agent that has it already has told is in the ledger then.
func (s *Server) answer(w *words, buffer, length int) error {
	if err := w.buffers.Hold(); err != nil {
		return err
	}
	defer w.buffers.Release()
	memory := w.buffers.Bytes()
	m, err := decodeMessage(memory[buffer*messageBytes:][:length])
	if err != nil {
		return err
	}
	if w.has(m.epoch, m.tenant) { // it is asked for again to know that what was told is kept
		if err := s.write(w); err != nil {
			return fmt.Errorf("usage cannot be written to the ledger, and the agent will report it again: %w", err)
		}
	}
	m.row = s.row(w, m.epoch, m.tenant)
	reply := messages + buffer
	m.encode(memory[reply*messageBytes:])
	if _, err := w.conn.PostRecv(transport.Recv(uint64(buffer), w.span(buffer))); err != nil {
		return err
	}
	_, err = w.conn.Post(transport.Send(uint64(reply), w.span(reply)).With(transport.Signaled | transport.Solicited))
	return err
}

// row is one more than the row of a tenant, with the values that there were; 0 if there
// is no room.
func (s *Server) row(w *words, epoch uint64, tenant string) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	k := key{node: w.node, epoch: epoch, tenant: tenant}
	row, there := w.rows[k]
	if there {
		return uint32(row) + 1
	}
	if row = len(w.rows); row == rows {
		s.log.Error("an agent has more tenants than there is room for", "node", w.node, "rows", rows)
		return 0
	}
	w.rows[k] = row
	for kind := range kinds {
		k.claimed = kind == 1
		for q, v := range s.totals[k] {
			w.region.Uint64(row*rowBytes + wordAt(kind, accounting.Quantity(q))).Store(v)
		}
	}
	return uint32(row) + 1
}

// Agents is how many agents are connected. Any goroutine may call it.
func (s *Server) Agents() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.agents)
}
