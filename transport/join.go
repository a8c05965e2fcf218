package transport

import (
	"context"
	"fmt"
)

// Join makes a connection without a stream of this package: x carries the set-up
// messages of the provider's queue pair, and may translate them for a peer that does
// not use this library. The other end joins as well, by Join or by its own means.
//
// x is used during Join only, by the calling goroutine. The provider's queue pair
// is ready to receive before its last exchange and ready to send after it. x has to
// make sure that the peer speaks the device's Capabilities.Wire.
//
// The context bounds the set-up, but it cannot interrupt x: x must end an exchange
// when the context ends. Until then Device.Close waits, too.
//
// There is no stream afterwards either. The peer is not notified when this end
// closes. That the peer closed or died is noticed only by the provider, when a
// request fails, so the program has to bound its waits. Peer is empty. Everything
// else is as for other connections.
//
// Errors: ErrInvalid for a configuration that makes no sense, among others one with
// PrivateData or Authorize, for which there is no stream; ErrNotSupported for a
// provider that needs a stream (FeatureUnixSocket); those of x and of the provider;
// ErrClosed when the device is closed meanwhile.
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

// Send drops the message. The descriptor remains the caller's.
func (noControl) Send([]byte, *File) {}

// Notify drops the message.
func (noControl) Notify(byte) {}
