package benchmarks

import (
	"context"
	"fmt"
	"net"
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
	far                  int // the peer's landing
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
	s.cleanup(e.close)
	if err := e.allocate(c); err != nil {
		return nil, err
	}
	if err := e.connect(ctx, s, c); err != nil {
		return nil, err
	}
	return e, nil
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
	if s.leads() {
		var stream net.Conn
		if stream, err = s.dial(ctx); err == nil {
			e.conn, err = e.device.Connect(ctx, stream, cfg)
		}
	} else {
		var request *transport.Request
		if request, err = s.request(ctx); err == nil {
			e.conn, err = request.Accept(ctx, cfg)
		}
	}
	if err != nil {
		return err
	}
	e.far, _ = transport.DecodeRemoteSpan(e.conn.Peer().PrivateData)
	if int(e.far.Len) != c.far {
		return fmt.Errorf("the peer granted %d bytes, not %d", e.far.Len, c.far)
	}
	return nil
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

// request is an operation between memory of this side and the peer's, which Sends do
// not name.
func request(op transport.Op, local transport.Span, far transport.RemoteSpan) transport.WorkRequest {
	switch op {
	case transport.OpSend:
		return transport.Send(0, local)
	case transport.OpWriteImm:
		return transport.WriteImm(0, local, far, 0)
	case transport.OpRead:
		return transport.Read(0, local, far)
	case transport.OpFetchAdd:
		return transport.FetchAdd(0, local, far, 1)
	}
	return transport.Write(0, local, far)
}
