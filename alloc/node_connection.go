package alloc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/internal/link"
	"github.com/rfaas-go/rfaas/transport"
)

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
