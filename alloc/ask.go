package alloc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/transport"
)

// ask requests a lease of the node, and sends the code if that is wanted. A refusal is
// a *lease.RefusedError.
func (n *node) ask(ctx context.Context, o *Order, workers int) (*grant, error) {
	for {
		e, err := n.request(ctx, o.terms(workers), o.Life)
		if err != nil {
			return nil, err
		}
		switch {
		case e.Kind == lease.WasGranted:
			n.mu.Lock()
			g := n.granted[e.Lease.ID]
			n.mu.Unlock()
			if g == nil {
				return nil, fmt.Errorf("alloc: node %s: the lease has ended already", n.name())
			}
			return g, nil
		case e.Kind == lease.WasNeeded:
			if o.Package == nil {
				return nil, &lease.RefusedError{Node: n.name(), Reason: lease.CodeRefused, Text: fmt.Sprintf("it does not have the package %v, which was not given here either", o.Digest)}
			}
			if err := n.sendPackage(ctx, o.Package); err != nil {
				return nil, fmt.Errorf("alloc: sending the package to node %s: %w", n.name(), err)
			}
		case e.Reason == lease.CodeComing:
			select {
			case <-time.After(e.After):
			case <-ctx.Done():
				return nil, fmt.Errorf("alloc: node %s: waiting for the package: %w", n.name(), context.Cause(ctx))
			}
		case e.Reason == lease.Unknown:
			return nil, fmt.Errorf("alloc: node %s: %s", n.name(), e.Text)
		default:
			return nil, &lease.RefusedError{Node: n.name(), Reason: e.Reason, Free: e.Free, Text: e.Text}
		}
	}
}

// request sends a request and waits for what ends it.
func (n *node) request(ctx context.Context, t lease.Terms, life time.Duration) (lease.Event, error) {
	answer := make(chan lease.Event, 1)
	if err := n.connected(ctx); err != nil {
		return lease.Event{}, fmt.Errorf("alloc: the agent at %s: %w", n.address, err)
	}
	n.mu.Lock()
	number := n.state.Ask(n.now(), t, life)
	n.answers[number] = answer
	n.settle()
	n.mu.Unlock()
	late := time.NewTimer(answerPatience)
	defer late.Stop()
	select {
	case e := <-answer:
		return e, nil
	case <-ctx.Done():
	case <-late.C:
	}
	n.mu.Lock()
	delete(n.answers, number) // a grant that comes later is given back
	if ctx.Err() == nil {
		n.hear(lease.Capacity{}) // others are asked first
	}
	n.mu.Unlock()
	select {
	case e := <-answer: // it came in the end
		return e, nil
	default:
		if why := context.Cause(ctx); why != nil {
			return lease.Event{}, fmt.Errorf("alloc: node %s does not answer: %w", n.name(), why)
		}
		return lease.Event{}, fmt.Errorf("alloc: node %s has not answered for %v", n.name(), answerPatience)
	}
}

// answerPatience is how long an agent may take to answer a request. The pool does not continue
// before. An agent decides by itself, so that only one that hangs takes long.
const answerPatience = 5 * time.Second

// sendPackage offers the package's archive, piece by piece, for the agent to read.
func (n *node) sendPackage(ctx context.Context, p *pack.Package) error {
	n.uploading.Lock()
	defer n.uploading.Unlock()
	region, err := n.domain.Alloc(lease.PieceBytes, transport.RemoteRead)
	if err != nil {
		return err
	}
	defer region.Close()
	taken := make(chan lease.Event, 1)
	n.mu.Lock()
	n.taken = taken
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.taken = nil
		n.mu.Unlock()
	}()
	from, into := io.Pipe()
	go func() {
		_, err := p.WriteTo(into)
		into.CloseWithError(err)
	}()
	defer from.Close()
	total := p.Size()
	for offset := int64(0); offset < total; {
		length := int(min(lease.PieceBytes, total-offset))
		if err := region.Hold(); err != nil {
			return err
		}
		_, err := io.ReadFull(from, region.Bytes()[:length])
		region.Release()
		if err != nil {
			return err
		}
		n.mu.Lock()
		n.state.SendPiece(lease.Message{Terms: lease.Terms{Digest: p.Digest()}, Offset: offset, Total: total, Memory: region.Remote(0, length)})
		connected := n.link != nil
		var done <-chan struct{}
		if connected {
			done = n.link.Conn.Done()
		}
		n.settle()
		n.mu.Unlock()
		if !connected {
			return errors.New("the connection was lost")
		}
		select {
		case e := <-taken:
			if e.Kind != lease.WasTaken {
				return &lease.RefusedError{Node: n.name(), Reason: e.Reason, Text: e.Text}
			}
			offset = e.Offset
		case <-done:
			return errors.New("the connection was lost")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
