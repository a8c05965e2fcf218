package agent

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
)

const (
	// setUpTimeout bounds the set-up of one connection, a worker's start included.
	setUpTimeout = 30 * time.Second
	// settingUp bounds the set-ups under way at once, beside one for each core.
	settingUp = 16
)

// Serve takes tenants and clients of their workers at a listener's address, until the
// context ends, the listener or the agent is closed. The listener remains the caller's.
func (a *Agent) Serve(ctx context.Context, l *transport.Listener) error {
	if !a.enter() {
		return transport.ErrClosed
	}
	defer a.ending.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.life, cancel)()
	setUps := make(chan struct{}, settingUp+len(a.cfg.Cores))
	var running sync.WaitGroup
	defer running.Wait()
	for {
		r, err := l.Accept(ctx)
		if err != nil {
			return err
		}
		select {
		case setUps <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		running.Go(func() {
			defer func() { <-setUps }()
			ctx, cancel := context.WithTimeout(ctx, setUpTimeout)
			defer cancel()
			if err := a.Admit(ctx, r); err != nil {
				a.log.Info("peer refused", "peer", r.Peer().String(), "reason", err)
			}
		})
	}
}

// Admit takes a peer that was accepted elsewhere: a tenant, or a client of a worker.
func (a *Agent) Admit(ctx context.Context, r *transport.Request) error {
	if !a.enter() {
		_ = invoke.Refuse(r, errNoLease)
		return transport.ErrClosed
	}
	defer a.ending.Done()
	if lease.IsHello(r.Peer().PrivateData) {
		return a.open(ctx, r)
	}
	token, err := invoke.TokenOf(r.Peer())
	if err != nil {
		_ = r.Reject(transport.Rejection{Reason: err.Error()})
		return err
	}
	e := a.endpointFor(r.Peer())
	w, attempt := a.worker(token)
	switch {
	case e == nil:
		err = fmt.Errorf("the peer speaks %s, and this agent %v", r.Peer().Wire, a.cfg.Transports)
		_ = r.Reject(transport.Rejection{Reason: err.Error()})
		return err
	case w == nil:
		_ = invoke.Refuse(r, errNoLease)
		return errNoLease
	}
	return w.admit(ctx, r, attempt, e.url)
}

// Stream is a stream to the agent for a tenant in its own process, as one from a
// listener would be.
func (a *Agent) Stream() (net.Conn, error) {
	near, far, err := executor.StreamPair()
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	if !a.enter() {
		near.Close()
		far.Close()
		return nil, transport.ErrClosed
	}
	go func() {
		defer a.ending.Done()
		ctx, cancel := context.WithTimeout(a.life, setUpTimeout)
		defer cancel()
		r, err := transport.Receive(ctx, far)
		if err == nil {
			err = a.Admit(ctx, r)
		}
		if err != nil {
			a.log.Info("peer refused", "peer", "this process", "reason", err)
		}
	}()
	return near, nil
}

// errNoLease answers clients without the token of a lease. There may have been one.
var errNoLease = &invoke.Error{Status: invoke.StatusRevoked, Started: invoke.StartedNo, Message: "no lease here has the client's token; it may have ended"}

// worker is what a token is for, nil if there is nothing.
func (a *Agent) worker(b []byte) (w *worker, attempt uint32) {
	token, ok := lease.ParseToken(b)
	if !ok {
		return nil, 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.node.Lease(token.Lease)
	if l == nil || subtle.ConstantTimeCompare(l.Secret[:], token.Secret[:]) == 0 || l.State != lease.Granted || token.Worker >= len(a.workers[l.ID]) {
		return nil, 0
	}
	return a.workers[l.ID][token.Worker], token.Attempt
}

var errOld = errors.New("a later connection to the worker was made meanwhile")
