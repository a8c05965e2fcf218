package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
)

// Set-up of a connection, over a stream that both ends trust:
//
//	dialer                          listener
//	hello (private data)     ->
//	                                program looks at the Request; Authorize
//	                         <-     accept (private data), or reject (Rejection)
//	Authorize
//	exchanges of the providers' queue pairs, both ways; each is ready to receive
//	before the last one and ready to send after it
//
// A reject may come from either end in place of any other message.

// Connect makes a connection over an established stream whose other end calls
// Receive. The stream belongs to the connection from then on, also when Connect
// fails. The context bounds the set-up only.
func (d *Device) Connect(ctx context.Context, stream net.Conn, cfg ConnConfig) (*Conn, error) {
	l := newLink(stream)
	c, err := d.setUp(ctx, l, cfg, (*Conn).dial)
	if err != nil {
		l.reject(Rejection{Reason: err.Error()})
		return nil, d.opError("connect to "+peerOf(stream).String(), ScopeConnection, err)
	}
	return c, nil
}

// setUp makes a connection, with handshake for one end's part in it.
func (d *Device) setUp(ctx context.Context, l *link, cfg ConnConfig, handshake func(*Conn, context.Context, ConnConfig) error) (*Conn, error) {
	ctx, end, err := d.beginSetUp(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	c, err := d.newConn(cfg, l)
	if err != nil {
		return nil, err
	}
	unbind := l.bind(ctx)
	if err := c.admit(unbind(handshake(c, ctx, cfg))); err != nil {
		return nil, err
	}
	return c, nil
}

// dial is the dialer's part of the set-up.
func (c *Conn) dial(ctx context.Context, cfg ConnConfig) error {
	if err := c.link.write(frameHello, c.dev.hello(cfg).encode()); err != nil {
		return err
	}
	payload, fds, err := c.link.expect(frameAccept)
	closeFDs(fds)
	if err != nil {
		return err
	}
	h, err := decodeHello(payload)
	if err == nil {
		err = c.dev.checkWire(h)
	}
	if err != nil {
		return err
	}
	c.peer = peerOf(c.link.stream)
	c.peer.Provider, c.peer.PrivateData = h.device, h.private
	if err := authorize(ctx, cfg, c.peer); err != nil {
		return err
	}
	return c.qp.Connect(ctx, c.link)
}

func (d *Device) hello(cfg ConnConfig) hello {
	return hello{wire: d.caps.Wire, device: d.name, private: cfg.PrivateData}
}

// checkWire refuses a peer whose queue pairs speak another protocol.
func (d *Device) checkWire(peer hello) error {
	if peer.wire == d.caps.Wire {
		return nil
	}
	return fmt.Errorf("%w: the peer speaks %q (device %s), this end %q (device %s); use one transport on both ends",
		ErrNotSupported, peer.wire, peer.device, d.caps.Wire, d.name)
}

// Request is a peer that wants to connect.
type Request struct {
	dev  *Device
	link *link
	peer Peer

	answered atomic.Bool // accepted or rejected
}

// Receive reads a connection request from an established stream whose other end
// calls Connect. The stream belongs to the Request from then on, also when
// Receive fails. Servers use Listen, which does it for them.
func (d *Device) Receive(ctx context.Context, stream net.Conn) (*Request, error) {
	l := newLink(stream)
	unbind := l.bind(ctx)
	r, err := d.receive(l)
	if err = unbind(err); err != nil {
		l.reject(Rejection{Reason: err.Error()})
		return nil, d.opError("receive a connection request from "+peerOf(stream).String(), ScopeConnection, err)
	}
	return r, nil
}

func (d *Device) receive(l *link) (*Request, error) {
	payload, fds, err := l.expect(frameHello)
	closeFDs(fds)
	if err != nil {
		return nil, err
	}
	h, err := decodeHello(payload)
	if err != nil {
		return nil, err
	}
	if err := d.checkWire(h); err != nil {
		return nil, err
	}
	r := &Request{dev: d, link: l, peer: peerOf(l.stream)}
	r.peer.Provider, r.peer.PrivateData = h.device, h.private
	return r, nil
}

// Peer is what the dialer says, and the kernel vouches, for itself.
func (r *Request) Peer() Peer { return r.peer }

// Accept makes the connection. The context bounds the set-up only. A Request is
// accepted or rejected once; after that Accept fails with ErrInvalid.
func (r *Request) Accept(ctx context.Context, cfg ConnConfig) (*Conn, error) {
	fail := func(err error) (*Conn, error) {
		return nil, r.dev.opError("accept "+r.peer.String(), ScopeConnection, err)
	}
	if !r.answered.CompareAndSwap(false, true) {
		return fail(errAnswered)
	}
	err := authorize(ctx, cfg, r.peer)
	var c *Conn
	if err == nil {
		c, err = r.dev.setUp(ctx, r.link, cfg, func(c *Conn, ctx context.Context, cfg ConnConfig) error {
			c.peer = r.peer
			return c.answer(ctx, cfg)
		})
	}
	if err != nil {
		r.link.reject(Rejection{Reason: err.Error()})
		return fail(err)
	}
	return c, nil
}

// answer is the listener's part of the set-up.
func (c *Conn) answer(ctx context.Context, cfg ConnConfig) error {
	if err := c.link.write(frameAccept, c.dev.hello(cfg).encode()); err != nil {
		return err
	}
	return c.qp.Connect(ctx, c.link)
}

// Reject refuses the connection: the dialer gets a *RejectedError with what it is
// told. A request that was accepted or rejected before is an ErrInvalid; data beyond
// MaxRejectionData an ErrOutOfRange, and the request still wants an answer.
func (r *Request) Reject(why Rejection) error {
	var err error
	switch {
	case len(why.Data) > MaxRejectionData:
		err = fmt.Errorf("%w: %d bytes of data; at most %d", ErrOutOfRange, len(why.Data), MaxRejectionData)
	case !r.answered.CompareAndSwap(false, true):
		err = errAnswered
	default:
		r.link.reject(why)
		return nil
	}
	return r.dev.opError("reject "+r.peer.String(), ScopeRequest, err)
}

// errAnswered is the error of a second answer to a request.
var errAnswered = fmt.Errorf("%w: the request was accepted or rejected before", ErrInvalid)

func authorize(ctx context.Context, cfg ConnConfig, peer Peer) error {
	if cfg.Authorize != nil {
		if err := cfg.Authorize(ctx, peer); err != nil {
			return fmt.Errorf("%w: %w", ErrRejected, err)
		}
		return nil
	}
	if c := peer.Credentials; c != nil && c.UID != os.Geteuid() && c.UID != 0 {
		return fmt.Errorf("%w: %v runs under user %d, this end under %d; set ConnConfig.Authorize to allow it", ErrRejected, peer, c.UID, os.Geteuid())
	}
	return nil
}

// admit takes a connection that was set up into service, or undoes it when
// set-up failed with err.
func (c *Conn) admit(err error) error {
	if err == nil {
		c.dev.track(c)
		if c.link != nil {
			c.listening.Go(c.listen)
		}
		return nil
	}
	c.sending.Retire()
	c.receiving.Retire()
	c.closed.Store(true)
	c.fail(err)
	c.qp.Close()
	return err
}

// listen takes the peer's control messages, and notices its end.
func (c *Conn) listen() {
	reason := error(nil)
	for reason == nil {
		kind, payload, fds, err := c.link.read()
		switch {
		case err != nil:
			reason = ErrPeerGone
			if why := c.link.broken.Load(); why != nil {
				reason = fmt.Errorf("%w (%w)", ErrPeerGone, *why)
			} else if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				reason = fmt.Errorf("%w (%w)", ErrPeerGone, err)
			}
		case kind == frameControl:
			c.qp.Message(payload, fds)
		case kind == frameGoodbye:
			closeFDs(fds)
			reason = ErrPeerClosed
		case kind == frameReject: // it gave up as set-up ended here
			closeFDs(fds)
			reason = decodeRejection(payload)
		default:
			closeFDs(fds)
			reason = fmt.Errorf("%w: frame of kind %d on an established connection", ErrInvalid, kind)
		}
	}
	c.fail(reason)
	if !c.closed.Load() {
		c.qp.Disconnect(reason)
	}
	closeFDs(c.link.in.fds)
	c.link.in.fds = nil
	c.link.hangUp()
}

func peerOf(stream net.Conn) Peer {
	return Peer{Address: stream.RemoteAddr(), Credentials: credentials(stream)}
}
