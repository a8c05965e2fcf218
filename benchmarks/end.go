package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// end is one side of a test over a transport: a connection with a queue for each
// direction, and the memory that the two sides move bytes between.
type end struct {
	device          *transport.Device
	domain          *transport.ProtectionDomain
	sends, receives *transport.Queue
	conn            *transport.Conn
	spin            time.Duration

	own     *transport.Region    // what this side sends, or reads into
	inbox   *transport.Region    // what the peer's Sends fill
	landing *transport.Region    // what the peer writes, reads or counts in
	far     transport.RemoteSpan // the peer's landing
}

// endConfig says what a test needs. Sizes are in bytes, 0 for none.
type endConfig struct {
	ops                  transport.OpSet
	own, inbox, landing  int
	access               transport.Access // of landing
	sendDepth, recvDepth int
	inline               int // longest message that is posted inline
}

// inlineLimit bounds what is posted inline, as perftest does: for longer
// payloads the copy costs more than it saves.
const inlineLimit = 256

// inlineBytes is the longest message, up to size, that a device takes inline
// and for which that makes sense; 0 if size is longer.
func inlineBytes(d *transport.Device, size int) int {
	if size <= min(inlineLimit, int(d.Capabilities().MaxInlineBytes)) {
		return size
	}
	return 0
}

// newEnd connects one side of a session. The other one calls it at the same time.
func newEnd(ctx context.Context, s *session, c endConfig) (*end, error) {
	e := &end{device: s.device, spin: spinOf(s.params.Mode)}
	if missing := c.ops &^ e.device.Capabilities().Ops; missing != 0 {
		return nil, fmt.Errorf("%s: %w by %s: it lacks an operation that the test needs", s.params.Test, transport.ErrNotSupported, e.device.Name())
	}
	if err := e.allocate(c); err != nil {
		return nil, err
	}
	return e, e.connect(ctx, s, c)
}

func (e *end) allocate(c endConfig) (err error) {
	if e.domain, err = e.device.NewProtectionDomain(); err != nil {
		return err
	}
	for _, r := range []struct {
		region **transport.Region
		bytes  int
		access transport.Access
	}{
		{&e.own, c.own, transport.LocalOnly},
		{&e.inbox, c.inbox, transport.LocalOnly},
		{&e.landing, c.landing, c.access},
	} {
		if r.bytes == 0 {
			continue
		}
		if *r.region, err = e.domain.Alloc(r.bytes, r.access); err != nil {
			return err
		}
		clear((*r.region).Bytes()) // no page is touched for the first time later
	}
	if e.sends, err = e.device.NewQueue(c.sendDepth); err == nil {
		e.receives, err = e.device.NewQueue(c.recvDepth)
	}
	return err
}

// connect sets the connection up. Each side tells the other one where it may
// write, as private data.
func (e *end) connect(ctx context.Context, s *session, c endConfig) error {
	cfg := transport.ConnConfig{
		Domain: e.domain, SendQueue: e.sends, RecvQueue: e.receives,
		SendDepth: c.sendDepth, RecvDepth: c.recvDepth, InlineBytes: c.inline,
	}
	if e.landing != nil {
		cfg.PrivateData = e.landing.Remote(0, e.landing.Len()).AppendTo(nil)
	}
	var err error
	if s.peer != nil {
		stream, err := s.dial(ctx)
		if err != nil {
			return err
		}
		e.conn, err = e.device.Connect(ctx, stream, cfg)
		if err != nil {
			return err
		}
	} else {
		stream, err := s.accept(ctx)
		if err != nil {
			return err
		}
		request, err := transport.Receive(ctx, stream)
		if err != nil {
			return err
		}
		if e.conn, err = request.Accept(ctx, cfg); err != nil {
			return err
		}
	}
	if private := e.conn.Peer().PrivateData; len(private) > 0 {
		var ok bool
		if e.far, ok = transport.DecodeRemoteSpan(private); !ok {
			err = errors.New("the peer did not say where its memory is")
		}
	}
	return err
}

// failed is the error of a completion, with the reason that the connection has.
func (e *end) failed(c *transport.Completion) error {
	err := c.Err()
	if why := e.conn.Err(); why != nil {
		return fmt.Errorf("%w (%w)", err, why)
	}
	return err
}

// close ends the connection. What else was made from the device goes with it.
func (e *end) close() error {
	if e.conn == nil {
		return nil
	}
	return e.conn.Close()
}
