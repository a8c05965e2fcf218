package transport

import (
	"context"
	"fmt"
)

// Join makes a connection whose ends swap addresses by other means than a stream
// of this package: x carries the set-up messages of the provider's queue pair, and
// may translate them for a peer that is another program. Joining is to be done at
// the other end as well, by Join or by what the peer has instead.
//
// x is used during Join only, by the calling goroutine. The provider's queue pair
// is ready to receive before its last exchange and ready to send after it. x has to
// make sure that the peer speaks the device's Capabilities.Wire.
//
// The context bounds the set-up, but it cannot interrupt x: the caller has to see
// to it that an exchange ends when the context does. Until then Device.Close waits,
// too.
//
// There is no stream afterwards either. The peer is not told when this end closes,
// and its end, or its death, is noticed only as far as the provider notices it by
// itself: by a request that fails. The program has to bound its waits. Peer is
// empty. Everything else is as for other connections.
//
// Errors: ErrInvalid for a configuration that makes no sense, among others one with
// PrivateData or Authorize, for which there is no stream; ErrNotSupported for a
// provider that cannot do without a stream (FeatureUnixSocket); those of x and of
// the provider; ErrClosed when the device is closed meanwhile.
func (d *Device) Join(ctx context.Context, x Exchanger, cfg ConnConfig) (*Conn, error) {
	c, err := d.join(ctx, x, cfg)
	if err != nil {
		return nil, d.opError("join", ScopeConnection, err)
	}
	return c, nil
}

func (d *Device) join(ctx context.Context, x Exchanger, cfg ConnConfig) (*Conn, error) {
	switch {
	case x == nil:
		return nil, fmt.Errorf("%w: Join needs an Exchanger", ErrInvalid)
	case len(cfg.PrivateData) > 0 || cfg.Authorize != nil:
		return nil, fmt.Errorf("%w: PrivateData and Authorize belong to the stream of Connect and Accept, and Join has none; leave both to the Exchanger", ErrInvalid)
	case d.caps.Features.Has(FeatureUnixSocket):
		return nil, fmt.Errorf("%w: connections of this provider need a Unix socket for all of their life; use Dial and Listen", ErrNotSupported)
	}
	ctx, end, err := d.beginSetUp(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	c, err := d.newConn(cfg, nil)
	if err != nil {
		return nil, err
	}
	err = c.qp.Connect(ctx, x)
	if ctx.Err() != nil {
		err = fmt.Errorf("connection set-up: %w", context.Cause(ctx))
	}
	if err := c.admit(err); err != nil {
		return nil, err
	}
	return c, nil
}

// noControl is the Control of connections without a stream.
type noControl struct{}

// Send drops the message. The descriptor was the caller's and remains it.
func (noControl) Send([]byte, *File) {}

// Notify drops the message.
func (noControl) Notify(byte) {}
