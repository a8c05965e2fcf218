package pingpong

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// game is one end. As in the tool, all receives are for one piece of memory, and
// what the server received it sends back from there: only one message is under way
// at any time.
type game struct {
	cfg      *Config
	pd       *transport.ProtectionDomain
	queue    *transport.Queue
	receives receiver
	shared   *transport.SharedReceive // receives, if the device has such
	conn     *transport.Conn

	in, out  []byte // messages come and go here; the same memory without Check
	inSpan   transport.Span
	outSpan  transport.Span
	expected []byte // with Check

	posted         int // receives
	sent, received int
	pending        uint8
}

// What has to complete before the next message is sent.
const (
	pendingSend = 1 << iota
	pendingReceive
)

// receiver is a connection or a shared receive queue.
type receiver interface {
	PostRecv(wrs ...transport.WorkRequest) (int, error)
}

// prepare makes what is needed but the connection. The receives are shared ones if
// possible: those can be posted before the peer learns where to send to, and its
// first message does not have to wait.
func (g *game) prepare(dev *transport.Device) (err error) {
	if g.pd, err = dev.NewProtectionDomain(); err != nil {
		return err
	}
	if g.queue, err = dev.NewQueue(g.cfg.RxDepth + 1); err != nil {
		return err
	}
	if err := g.allocate(); err != nil {
		return err
	}
	if !dev.Capabilities().Features.Has(transport.FeatureSharedReceive) {
		return nil
	}
	if g.shared, err = g.pd.NewSharedReceive(g.queue, g.cfg.RxDepth); err != nil {
		return err
	}
	g.receives = g.shared
	return g.postReceives()
}

// allocate makes the memory and fills it.
func (g *game) allocate() error {
	size := g.cfg.Size
	out := 0
	if g.cfg.Check {
		out = size
	}
	memory, err := g.pd.Alloc(out+size, transport.LocalOnly)
	if err != nil {
		return err
	}
	g.in, g.inSpan = memory.Bytes()[:size], memory.Span(0, size)
	g.out, g.outSpan = memory.Bytes()[out:], memory.Span(out, size)
	if !g.cfg.Check {
		fill(g.in, filling)
		return nil
	}
	g.expected = pattern(size)
	copy(g.out, g.expected)
	fill(g.in, cleared)
	return nil
}

// join makes the connection.
func (g *game) join(ctx context.Context, h *handshake) error {
	defer h.close()
	cfg := transport.ConnConfig{
		Domain: g.pd, SendQueue: g.queue, RecvQueue: g.queue, Shared: g.shared,
		SendDepth: 1, RecvDepth: g.cfg.RxDepth,
	}
	dev := g.pd.Device()
	if uint64(g.cfg.Size) <= uint64(dev.Capabilities().MaxInlineBytes) {
		cfg.InlineBytes = g.cfg.Size
	}
	conn, err := dev.Join(ctx, h, cfg)
	switch {
	case h.err != nil:
		return h.err
	case err != nil:
		return err
	}
	g.conn = conn
	if g.shared == nil {
		g.receives = conn
		return g.postReceives()
	}
	return nil
}

func (g *game) close() {
	if g.conn != nil {
		g.conn.Close()
	}
	if g.shared != nil {
		g.shared.Close()
	}
	if g.queue != nil {
		g.queue.Close()
	}
	if g.pd != nil {
		g.pd.Close() // and its region
	}
}

// errSilence ends a game in which nothing happens any more, errEnded one whose
// connection failed.
var (
	errSilence = errors.New("silence")
	errEnded   = errors.New("the connection ended")
)

// play plays over the connection.
func (g *game) play(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(g.cfg.Timeout, func() { cancel(errSilence) })
	defer silence.Stop()
	go func() {
		select {
		case <-g.conn.Done():
			cancel(errEnded)
		case <-ctx.Done():
		}
	}()
	spin := transport.Hot
	if g.cfg.Events {
		spin = transport.Warm
	}
	start := time.Now()
	g.pending = pendingReceive
	if g.cfg.client() {
		if err := g.send(); err != nil {
			return Result{}, err
		}
	}
	var completions [2]transport.Completion
	for g.sent < g.cfg.Iterations || g.received < g.cfg.Iterations {
		n, err := g.queue.Wait(ctx, completions[:], spin)
		if err != nil {
			return Result{}, g.whyEnded(ctx, err)
		}
		silence.Reset(g.cfg.Timeout)
		for i := range completions[:n] {
			if err := g.take(&completions[i]); err != nil {
				return Result{}, err
			}
		}
	}
	return Result{
		Bytes: int64(g.cfg.Size) * int64(g.cfg.Iterations) * 2, Iterations: g.cfg.Iterations, Elapsed: time.Since(start),
	}, nil
}

// take continues after a completion.
func (g *game) take(c *transport.Completion) error {
	if c.Status != transport.StatusOK {
		return g.explain(c)
	}
	switch c.Op {
	case transport.OpSend:
		g.sent++
		g.pending &^= pendingSend
	case transport.OpRecv:
		if err := g.receive(c); err != nil {
			return err
		}
	default:
		return g.problem("the peer did a %v, which is not in this game", c.Op)
	}
	if g.pending == 0 && g.sent < g.cfg.Iterations {
		return g.send()
	}
	return nil
}

// receive looks at a message.
func (g *game) receive(c *transport.Completion) error {
	switch {
	case g.pending&pendingReceive == 0:
		return g.problem("the peer sent a message before it had an answer to the one before")
	case int(c.Bytes) != g.cfg.Size:
		return g.problem("the peer's message has %d bytes and not %d: use the same --size at both ends", c.Bytes, g.cfg.Size)
	}
	g.received++
	g.pending &^= pendingReceive
	if g.cfg.Check {
		if err := compare(g.in, g.expected); err != nil {
			return g.problem("message %d is wrong: %w", g.received, err)
		}
		if !g.cfg.client() {
			copy(g.out, g.in)
		}
		fill(g.in, cleared)
	}
	if g.posted--; g.posted <= 1 {
		return g.postReceives()
	}
	return nil
}

// postReceives posts as many as may be.
func (g *game) postReceives() error {
	for g.posted < g.cfg.RxDepth {
		if _, err := g.receives.PostRecv(transport.Recv(0, g.inSpan)); err != nil {
			return fmt.Errorf("cannot post receive %d of --rx-depth %d: %w", g.posted+1, g.cfg.RxDepth, err)
		}
		g.posted++
	}
	return nil
}

// send sends the next message.
func (g *game) send() error {
	request := transport.Send(0, g.outSpan).With(transport.Signaled)
	if g.conn.InlineBytes() >= g.cfg.Size {
		request = request.With(transport.Inline)
	}
	if _, err := g.conn.Post(request); err != nil {
		return g.problem("cannot send: %w", err)
	}
	g.pending = pendingSend | pendingReceive
	return nil
}
