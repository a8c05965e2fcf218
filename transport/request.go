package transport

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/framing"
)

// Request is a peer that wants to connect. It is accepted, rejected or detached,
// once.
type Request struct {
	link  *link
	hello []byte
	peer  Peer

	answered atomic.Bool
}

// Receive reads a connection request from an established stream whose other end
// calls Device.Connect. The stream belongs to the Request from then on, also when
// Receive fails. Servers use a Listener, which does it for them.
func Receive(ctx context.Context, stream net.Conn) (*Request, error) {
	l := newLink(stream)
	unbind := l.bind(ctx)
	r, err := receive(l)
	if err = unbind(err); err != nil {
		return nil, refuseRequest(l, "receive", err)
	}
	return r, nil
}

func receive(l *link) (*Request, error) {
	payload, fds, err := l.expect(framing.Hello)
	closeFDs(fds)
	if err != nil {
		return nil, err
	}
	return newRequest(l, payload)
}

func newRequest(l *link, payload []byte) (*Request, error) {
	h, err := decodeHello(payload)
	if err != nil {
		return nil, err
	}
	return &Request{link: l, hello: append([]byte(nil), payload...), peer: h.peer(l.stream)}, nil
}

// refuseRequest ends a stream whose request is malformed.
func refuseRequest(l *link, what string, err error) error {
	l.reject(Rejection{Reason: err.Error()})
	return &OpError{Op: what + " a connection request from " + peerOf(l.stream).String(), Scope: ScopeConnection, Err: err}
}

// Detach takes the stream out of the request, for another process to continue: it gets
// the stream's descriptor and the hello, which is all that was read, and calls Adopt.
// A peer that has sent more than a hello, bytes or descriptors, violates the protocol:
// it is rejected, and the error is an ErrInvalid. The stream is the caller's.
func (r *Request) Detach() (stream net.Conn, hello []byte, err error) {
	switch l := r.link; {
	case !r.answered.CompareAndSwap(false, true):
		err = errAnswered
	case len(l.in.buf) > 0 || len(l.in.fds) > 0:
		err = fmt.Errorf("%w: the peer sent %d bytes and %d descriptors before it was answered", ErrInvalid, len(l.in.buf), len(l.in.fds))
		l.reject(Rejection{Reason: err.Error()})
	default:
		return l.stream, r.hello, nil
	}
	return nil, nil, r.opError("detach", err)
}

// Adopt makes a Request of a stream and the hello that was read from it: see
// Request.Detach. The stream belongs to the Request from then on, also when Adopt
// fails. Peer.Credentials are those of the process that opened the stream.
func Adopt(stream net.Conn, hello []byte) (*Request, error) {
	l := newLink(stream)
	r, err := newRequest(l, hello)
	if err != nil {
		return nil, refuseRequest(l, "adopt", err)
	}
	return r, nil
}

// Peer is what the dialer sent about itself, with credentials from the kernel.
func (r *Request) Peer() Peer { return r.peer }

// Accept makes the connection on the device of the configuration. The context bounds
// the set-up only.
func (r *Request) Accept(ctx context.Context, cfg ConnConfig) (*Conn, error) {
	if !r.answered.CompareAndSwap(false, true) {
		return nil, r.opError("accept", errAnswered)
	}
	c, err := r.accept(ctx, cfg)
	if err != nil {
		r.link.reject(Rejection{Reason: err.Error()})
		failure := r.opError("accept", err)
		if cfg.Domain != nil {
			failure.Provider = cfg.Domain.dev.name
		}
		return nil, failure
	}
	return c, nil
}

func (r *Request) accept(ctx context.Context, cfg ConnConfig) (*Conn, error) {
	if cfg.Domain == nil {
		return nil, errIncomplete
	}
	d := cfg.Domain.dev
	if err := d.checkWire(r.peer); err != nil {
		return nil, err
	}
	if err := authorize(ctx, cfg, r.peer); err != nil {
		return nil, err
	}
	return d.setUp(ctx, r.link, cfg, func(c *Conn, ctx context.Context, cfg ConnConfig) error {
		c.peer = r.peer
		return c.answer(ctx, cfg)
	})
}

// Reject refuses the connection: the dialer gets a *RejectedError with why. Data
// beyond MaxRejectionData is an ErrOutOfRange, and the request remains unanswered.
func (r *Request) Reject(why Rejection) error {
	switch {
	case len(why.Data) > MaxRejectionData:
		return r.opError("reject", fmt.Errorf("%w: %d bytes of data; at most %d", ErrOutOfRange, len(why.Data), MaxRejectionData))
	case !r.answered.CompareAndSwap(false, true):
		return r.opError("reject", errAnswered)
	}
	r.link.reject(why)
	return nil
}

// errAnswered is the error of a second answer to a request.
var errAnswered = fmt.Errorf("%w: the request was accepted, rejected or detached before", ErrInvalid)

func (r *Request) opError(op string, err error) *OpError {
	return &OpError{Op: op + " " + r.peer.String(), Scope: ScopeConnection, Err: err}
}
