package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/rfaas-go/rfaas/internal/framing"
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

// setUp makes a connection; handshake is this end's part in it.
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
	if err := c.link.write(framing.Hello, c.dev.hello(cfg).encode()); err != nil {
		return err
	}
	payload, fds, err := c.link.expect(framing.Accept)
	closeFDs(fds)
	if err != nil {
		return err
	}
	h, err := decodeHello(payload)
	if err != nil {
		return err
	}
	c.peer = h.peer(c.link.stream)
	if err := c.dev.checkWire(c.peer); err != nil {
		return err
	}
	if err := authorize(ctx, cfg, c.peer); err != nil {
		return err
	}
	return c.qp.Connect(ctx, c.link)
}

func (d *Device) hello(cfg ConnConfig) hello {
	return hello{wire: d.caps.Wire, device: d.name, private: cfg.PrivateData}
}

// checkWire refuses a peer whose queue pairs speak another protocol.
func (d *Device) checkWire(peer Peer) error {
	if peer.Wire == d.caps.Wire {
		return nil
	}
	return fmt.Errorf("%w: the peer speaks %q (device %s), this end %q (device %s); use one transport on both ends",
		ErrNotSupported, peer.Wire, peer.Provider, d.caps.Wire, d.name)
}

// answer is the listener's part of the set-up.
func (c *Conn) answer(ctx context.Context, cfg ConnConfig) error {
	if err := c.link.write(framing.Accept, c.dev.hello(cfg).encode()); err != nil {
		return err
	}
	return c.qp.Connect(ctx, c.link)
}

func authorize(ctx context.Context, cfg ConnConfig, peer Peer) error {
	if cfg.Authorize != nil {
		if err := cfg.Authorize(ctx, peer); err != nil {
			return fmt.Errorf("%w: %w", ErrRejected, err)
		}
		return nil
	}
	if c := peer.Credentials; c != nil && !c.Trusted() {
		why := ""
		if c.UID == overflowUser() {
			why = " (which is how users look that this user namespace does not know)"
		}
		return fmt.Errorf("%w: %v runs under user %d%s, this end under %d; set ConnConfig.Authorize to allow it", ErrRejected, peer, c.UID, why, os.Geteuid())
	}
	return nil
}

// admit makes a connection known to the device, or undoes it when set-up failed with err.
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
		case kind == framing.Control:
			c.qp.Message(payload, fds)
		case kind == framing.Notice:
			closeFDs(fds)
			if c.notified != nil {
				c.notified(payload)
			}
		case kind == framing.Goodbye:
			closeFDs(fds)
			reason = ErrPeerClosed
		case kind == framing.Reject: // it gave up just as set-up ended at this end
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
	return Peer{Address: stream.RemoteAddr(), Credentials: PeerCredentials(stream)}
}
