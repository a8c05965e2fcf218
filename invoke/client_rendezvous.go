package invoke

import (
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// What does not fit into a slot stays in registered memory of the client: the
// request says where it is, the worker reads it, and writes a result that is
// longer than a slot to where the request says, or offers it for the client to
// read. Package comment: rendezvous.

// newClientMemory makes the pool of a client's buffers.
func newClientMemory(domain *transport.ProtectionDomain, cfg ClientConfig) *memoryPool {
	p := &memoryPool{domain: domain, access: transport.RemoteWrite, given: map[*transport.Region]struct{}{}, keep: cfg.SpareBytes, idle: cfg.memoryIdle}
	if domain.Device().Capabilities().Ops.Has(transport.OpRead) {
		p.access |= transport.RemoteRead
	}
	if p.keep == 0 {
		p.keep = defaultSpareBytes
	}
	p.keep = max(p.keep, 0)
	if p.idle == 0 {
		p.idle = memoryIdle
	}
	return p
}

// load lends a buffer to the call that is to be made from slot s, and copies the
// input there, unless it is in registered memory of the program. So much metadata goes with
// it. out is where the result will go, if that is known.
func (c *Client) load(s *clientSlot, f *Handle, in []byte, metadata, room int, out []byte) error {
	apart := 0
	if len(in)+metadata > c.layout.slotBytes {
		apart = roundUp(len(in), 64)
	}
	if apart > c.rendezvousBytes || apart > MaxPayloadBytes {
		return c.tooLarge(f.name, "the input", len(in)+metadata)
	}
	// The worker has the last word on the room: it makes do with what is left of
	// its limit.
	room = min(room, MaxPayloadBytes, max(c.rendezvousBytes-apart, c.layout.slotBytes))
	if apart == 0 && room <= c.layout.slotBytes { // the result has to fit into the slot
		copy(s.input, in)
		return nil
	}
	b, err := c.lend(in, max(room, c.layout.slotBytes), out)
	if err != nil {
		return &Error{Status: StatusBusy, Function: f.name, Worker: c.worker, Started: StartedNo, Err: err,
			Message: fmt.Sprintf("no registered memory for %d bytes of input and %d of result: %v", len(in), room, err)}
	}
	s.buffer = b
	return nil
}

// lend makes a buffer for a call, for what is not in the program's memory.
func (c *Client) lend(in []byte, room int, out []byte) (*Buffer, error) {
	var source, target *transport.Region
	var inputAt, outputAt int
	var err error
	copied := len(in)
	if len(in) > c.layout.slotBytes {
		if source, inputAt, err = c.program.within(c, in); err != nil {
			return nil, err
		}
		if source != nil {
			copied = 0
		}
	}
	out = out[:min(room, len(out))]
	if room == len(out) && room > c.layout.slotBytes {
		if target, outputAt, err = c.program.within(c, out); err != nil {
			return nil, err
		}
		if target != nil {
			room = c.layout.slotBytes
		}
	}
	b, err := c.newBuffer(copied, room)
	if err != nil {
		return nil, err
	}
	b.lent = true
	if source != nil {
		b.source = source.Remote(inputAt, len(in))
	} else {
		copy(b.in, in)
	}
	if target != nil {
		b.into, b.target = target.Span(outputAt, len(out)), out
		b.returned.Len = uint32(headerBytes + len(out))
		putOffer(b.header)
	}
	return b, nil
}

// announce writes into the buffer's header where the first bytes of its input
// are, and returns how many of them follow the header.
func (c *Client) announce(b *Buffer, bytes int) int {
	if bytes <= c.layout.slotBytes {
		putSource(b.header, transport.RemoteSpan{})
		return bytes
	}
	putSource(b.header, b.source)
	return 0
}

// collectSlowly is collect for everything that is not a result in the slot.
func (c *Client) collectSlowly(s *clientSlot, out []byte) (int, error) {
	if s.gone || s.status != StatusOK {
		return 0, c.collectFailure(s, len(out))
	}
	n, err := c.resultBytes(s)
	if err != nil {
		c.release(s)
		return 0, err
	}
	result, reply := s.result, s.reply
	if b := s.buffer; b != nil {
		result, reply = b.out, b.reply
		if b.target != nil && n > c.layout.slotBytes {
			if err := c.fetch(s, n); err != nil {
				c.release(s)
				return 0, err
			}
			result = b.target
		}
	}
	if s.bytes = uint32(n); n > len(out) {
		return 0, c.collectFailure(s, len(out))
	}
	if n > 0 && &out[0] != &result[0] {
		copy(out, result[:n])
	}
	c.keep(reply)
	c.release(s)
	return n, nil
}

// resultBytes is the length of the result of a call that succeeded. One that is
// longer than a slot did not come with the reply: its header says how long it is.
func (c *Client) resultBytes(s *clientSlot) (int, error) {
	if s.buffer == nil {
		return int(s.bytes), nil
	}
	room := max(s.room, uint32(len(s.buffer.target)))
	if int(room) <= c.layout.slotBytes {
		return int(s.bytes), nil
	}
	n := decodeReply(s.buffer.reply).bytes
	if n > room || s.bytes != n && (s.bytes != 0 || int(n) <= c.layout.slotBytes) {
		c.fail(fmt.Errorf("the worker broke the protocol: a result of %d bytes where there is room for %d, %d of them with the reply", n, room, s.bytes))
		c.conn.Close()
		return 0, c.gone(StartedUnknown)
	}
	return int(n), nil
}

// keep remembers the header of a reply that was handed out, whose memory may be
// used for something else from now on.
func (c *Client) keep(reply *[headerBytes]byte) {
	c.copied = *reply
	c.collected = &c.copied
}
