package invoke

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// admitTimeout bounds the set-up of one connection, against peers that connect
// and fall silent.
const admitTimeout = 10 * time.Second

// admitting bounds the set-ups under way at once.
const admitting = 16

// accept admits the clients of a listener until the context ends.
func (w *Worker) accept(ctx context.Context, l *transport.Listener) {
	underWay := make(chan struct{}, admitting)
	var setUps sync.WaitGroup
	defer setUps.Wait()
	for {
		r, err := l.Accept(ctx)
		if err != nil {
			return // the context ended, or the listener was closed
		}
		underWay <- struct{}{}
		setUps.Go(func() {
			defer func() { <-underWay }()
			if err := w.Admit(ctx, r); err != nil {
				w.log.Info("client refused", "peer", r.Peer().String(), "reason", err)
			}
		})
	}
}

// Admit makes a client of a peer that wants to connect, or rejects it. Serve
// does it for the peers of its listener; a program that assigns clients to workers by
// other means calls Admit. The context bounds the set-up.
func (w *Worker) Admit(ctx context.Context, r *transport.Request) error {
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	defer context.AfterFunc(w.life, cancel)()
	s, err := w.admit(ctx, r)
	if err != nil {
		r.Reject(refusal(err)) // of no effect if the failed Accept has told the peer
		return fmt.Errorf("invoke: admit %v: %w", r.Peer(), err)
	}
	w.log.Info("client connected", "peer", s.peer, "slots", s.layout.slots, "slot_bytes", s.layout.slotBytes)
	return nil
}

func (w *Worker) admit(ctx context.Context, r *transport.Request) (*session, error) {
	peer := r.Peer()
	h, err := decodeHello(peer.PrivateData)
	if err != nil {
		return nil, err
	}
	var authorize func(context.Context, transport.Peer) error
	if w.cfg.Authorize != nil {
		if err := w.cfg.Authorize(ctx, peer, h.token); err != nil {
			return nil, err
		}
		authorize = func(context.Context, transport.Peer) error { return nil } // it was asked
	}
	if err := w.enter(); err != nil {
		return nil, err
	}
	grant := layout{slots: min(h.layout.slots, w.limit.slots), slotBytes: min(h.layout.slotBytes, w.limit.slotBytes)}
	s, err := newSession(w.dev, grant, h, w.rendezvous)
	if err == nil {
		if err = s.accept(ctx, r, w, authorize); err != nil {
			s.free()
		}
	}
	if err != nil {
		w.leave()
		return nil, err
	}
	if w.cfg.NewMeter != nil {
		s.meter = w.cfg.NewMeter(s.conn.Peer(), h.token)
	}
	if err := w.hand(s); err != nil {
		s.free()
		w.leave()
		return nil, err
	}
	return s, nil
}

// enter counts a client, unless there are too many.
func (w *Worker) enter() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed || w.draining != nil:
		return &Error{Status: StatusRevoked, Started: StartedNo, Message: "the worker is being taken away and accepts no clients"}
	case w.clients == w.max:
		return &Error{Status: StatusBusy, Started: StartedNo, Message: fmt.Sprintf("the worker has %d clients, as many as it takes", w.max)}
	}
	w.clients++
	w.admitted.Add(1)
	return nil
}

// leave ends what enter began.
func (w *Worker) leave() {
	w.mu.Lock()
	if w.clients--; w.clients == 0 && w.noClients != nil {
		close(w.noClients) // once: no client is admitted any more
	}
	w.mu.Unlock()
	w.admitted.Done()
}

// hand gives a connected session to the loop.
func (w *Worker) hand(s *session) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errors.New("the worker was closed")
	}
	w.connected[s] = struct{}{}
	if w.draining != nil {
		s.announceDrain()
	}
	w.arrived = append(w.arrived, s)
	w.notify()
	return nil
}
