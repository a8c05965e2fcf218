package executor

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

const (
	// admitTimeout bounds how long a client is handed down.
	admitTimeout = 10 * time.Second
	// admitting bounds how many are at once.
	admitting = 16
)

// Serve accepts the clients of all executors at one address, until the context ends
// or the listener is closed, which remains the caller's. A client is handed to the
// executor whose token it presents, and told if there is none.
//
// Over TLS (transport.Serve of a tls.Listener), encryption ends here: what the set-up
// stream carries is copied to the executor, which has no part in it. Transports that
// pass descriptors need a Unix socket.
func (s *Supervisor) Serve(ctx context.Context, l *transport.Listener) error {
	places := make(chan struct{}, admitting)
	var handing sync.WaitGroup
	defer handing.Wait()
	for {
		r, err := l.Accept(ctx)
		if err != nil {
			return err
		}
		places <- struct{}{}
		handing.Go(func() {
			defer func() { <-places }()
			s.hand(ctx, r)
		})
	}
}

// hand hands a client to its executor.
func (s *Supervisor) hand(ctx context.Context, r *transport.Request) {
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	token, err := invoke.TokenOf(r.Peer())
	if err == nil {
		if e := s.holder(token); e != nil {
			err = e.Admit(ctx, r)
		} else {
			err = errNoHolder
			_ = invoke.Refuse(r, errNoHolder)
		}
	} else {
		_ = r.Reject(transport.Rejection{Reason: err.Error()})
	}
	if err != nil {
		s.log.Info("client refused", "peer", r.Peer().String(), "reason", err)
	}
}

// errNoHolder is what who has no executor's token is told: it may be that there was
// one.
var errNoHolder = &invoke.Error{Status: invoke.StatusRevoked, Started: invoke.StartedNo, Message: "no executor here has the client's token; it may have ended"}

// holder is the executor that a token is for.
func (s *Supervisor) holder(token []byte) *Executor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holders[string(token)]
}

// relay copies between two streams until either ends, and closes both.
func relay(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			a.Close()
			b.Close()
		})
	}
	both.Wait()
}
