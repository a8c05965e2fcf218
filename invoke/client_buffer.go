package invoke

import (
	"context"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// Buffer is registered memory for the input and the result of a call that
// copies neither at this end: the transport takes the input from it and puts the
// result into it. (With metadata, an input that fits into a slot is copied.) A
// buffer serves one call at a time.
//
// From Go or Call until the reply, it belongs to the call, also when the call
// was abandoned meanwhile; then it is in quarantine, as its slot is. The result
// that Call or Wait return is part of the buffer, and valid until its next call
// or Close.
type Buffer struct {
	client   *Client
	region   *transport.Region
	header   *[headerBytes]byte
	in       []byte
	reply    *[headerBytes]byte
	out      []byte
	message  transport.Span       // header and in
	source   transport.RemoteSpan // in
	returned transport.RemoteSpan
	into     transport.Span // where the result goes instead, in the program's memory, if it is longer than a slot
	target   []byte         // these bytes; nil: there is no such memory
	slot     *clientSlot    // of the call under way
	lent     bool           // by the client to a call with slices: its region goes back with the slot
	closed   bool
}

// NewBuffer makes a buffer for inputs of up to inBytes and results of up to
// outBytes: either up to Client.SlotBytes, or both together up to
// Client.RendezvousBytes. Its memory is that of a buffer that was closed before, if
// there is such a one (see ClientConfig.SpareBytes): what it holds is arbitrary.
func (c *Client) NewBuffer(inBytes, outBytes int) (*Buffer, error) {
	if err := c.owner.Acquire(); err != nil {
		return nil, c.refuse(err, StartedNo)
	}
	defer c.owner.Release()
	if inBytes < 0 || outBytes < 0 {
		return nil, fmt.Errorf("invoke: new buffer for inputs of %d bytes and results of %d", inBytes, outBytes)
	}
	if c.beyond(inBytes)+c.beyond(outBytes) > c.rendezvousBytes || max(inBytes, outBytes) > max(MaxPayloadBytes, c.layout.slotBytes) {
		return nil, c.tooLarge("", "a buffer for both input and result", inBytes+outBytes)
	}
	return c.newBuffer(inBytes, outBytes)
}

// beyond is what n bytes of input or result take of Client.RendezvousBytes.
func (c *Client) beyond(n int) int {
	if n <= c.layout.slotBytes {
		return 0
	}
	return roundUp(n, 64)
}

func (c *Client) newBuffer(inBytes, outBytes int) (*Buffer, error) {
	outBytes = max(outBytes, minSlotBytes) // room for a message
	in, out := layout{1, inBytes}, layout{1, outBytes}
	region, err := c.memory.take(in.bytes() + out.bytes())
	if err != nil {
		return nil, fmt.Errorf("invoke: new buffer: %w", err)
	}
	b := &Buffer{client: c, region: region}
	b.header, b.in = in.at(region.Bytes(), 0)
	b.reply, b.out = out.at(region.Bytes()[in.bytes():], 0)
	b.message = in.span(region, 0)
	b.source = region.Remote(headerBytes, inBytes)
	b.returned = region.Remote(in.bytes(), headerBytes+outBytes)
	*b.header = [headerBytes]byte{} // the memory may have been another call's
	return b, nil
}

// In is where the input goes, from the front on. It must not be written while a
// call is under way.
func (b *Buffer) In() []byte { return b.in }

// Call is Client.Call with the first n bytes of In as input. It returns the
// result in place. Besides Client.Call's errors there is ErrBufferBusy.
func (b *Buffer) Call(ctx context.Context, f *Handle, n int, options ...CallOptions) ([]byte, error) {
	if err := b.Go(ctx, f, n, options...); err != nil {
		return nil, err
	}
	return b.Wait(ctx)
}

// Go sends the first n bytes of In to the function f and returns without
// waiting for the reply: see Client.Go. Wait or Abandon has to follow.
func (b *Buffer) Go(ctx context.Context, f *Handle, n int, options ...CallOptions) error {
	c := b.client
	if err := c.owner.Acquire(); err != nil {
		return c.refuse(err, StartedNo)
	}
	err := b.begin(ctx, f, n, CombineOptions(options...))
	c.owner.Release()
	return err
}

func (b *Buffer) begin(ctx context.Context, f *Handle, n int, o CallOptions) error {
	c := b.client
	if b.closed {
		return fmt.Errorf("invoke: the buffer is closed: %w", transport.ErrClosed)
	}
	if b.slot != nil {
		if c.look(); b.slot != nil {
			return ErrBufferBusy
		}
	}
	if n < 0 || n > len(b.in) {
		return &Error{Status: StatusTooLarge, Function: f.name, Worker: c.worker, Started: StartedNo,
			Message: fmt.Sprintf("the input has %d bytes, the buffer was made for %d", n, len(b.in))}
	}
	timeout, err := c.admit(ctx, f, o.Timeout)
	if err != nil {
		return err
	}
	metadata, err := c.metadataBytes(f, o.Metadata)
	if err != nil {
		return err
	}
	if n <= c.layout.slotBytes && n+metadata > c.layout.slotBytes && c.rendezvousBytes == 0 {
		return c.tooLarge(f.name, "the input with its metadata", n+metadata)
	}
	s, err := c.credit(ctx, !o.NoWait)
	if err != nil {
		return err
	}
	s.buffer, b.slot = b, s
	wr := c.stage(s, f, n, timeout)
	if metadata > 0 {
		c.attach(wr, s, n, o.Metadata, metadata)
	}
	_, err = c.flush(ctx)
	return err
}

// Wait waits for the reply and returns the result in place. If the context ends
// first, the call is abandoned.
func (b *Buffer) Wait(ctx context.Context) ([]byte, error) {
	c := b.client
	if err := c.owner.Acquire(); err != nil {
		return nil, c.refuse(err, StartedUnknown)
	}
	result, err := b.wait(ctx)
	c.owner.Release()
	return result, err
}

func (b *Buffer) wait(ctx context.Context) ([]byte, error) {
	c, s := b.client, b.slot
	if s == nil || s.state == slotAbandoned {
		return nil, ErrCollected
	}
	if err := c.await(ctx, s); err != nil {
		return nil, err
	}
	b.slot = nil
	if s.gone || s.status != StatusOK {
		return nil, c.collectFailure(s, len(b.out))
	}
	n, err := c.resultBytes(s)
	if err != nil {
		c.release(s)
		return nil, err
	}
	c.collected = b.reply
	c.release(s)
	return b.out[:n], nil
}

// Ready reports, without waiting, whether Wait would return at once.
func (b *Buffer) Ready() (bool, error) {
	c := b.client
	if err := c.owner.Acquire(); err != nil {
		return false, c.refuse(err, StartedUnknown)
	}
	defer c.owner.Release()
	if b.slot == nil || b.slot.state == slotAbandoned {
		return false, ErrCollected
	}
	if b.slot.state == slotInFlight {
		c.look()
	}
	return b.slot.state != slotInFlight, nil
}

// Hold keeps the buffer's memory, also when the client is closed, until Release: for
// a goroutine that fills it or reads the result while others may close the client.
// It may be called from anywhere, and fails with transport.ErrClosed when the memory
// is gone.
func (b *Buffer) Hold() error { return b.region.Hold() }

// Release ends one Hold.
func (b *Buffer) Release() { b.region.Release() }

// Abandon gives the call under way up: see Future.Abandon.
func (b *Buffer) Abandon() error {
	c := b.client
	if err := c.owner.Acquire(); err != nil {
		return c.refuse(err, StartedUnknown)
	}
	defer c.owner.Release()
	s := b.slot
	switch {
	case s == nil || s.state == slotAbandoned:
		return ErrCollected
	case s.state == slotFinished:
		b.slot = nil
		c.release(s)
	default:
		c.abandon(s)
	}
	return nil
}

// Close gives the buffer's memory back to the client, for other buffers. It fails
// with ErrBufferBusy while a call is not answered.
func (b *Buffer) Close() error {
	c := b.client
	if err := c.owner.Acquire(); err != nil {
		if err == transport.ErrClosed {
			return nil // the client freed it
		}
		return c.refuse(err, StartedUnknown)
	}
	defer c.owner.Release()
	if b.closed {
		return nil
	}
	if b.slot != nil {
		if c.look(); b.slot != nil {
			return ErrBufferBusy
		}
	}
	if c.collected == b.reply {
		c.keep(b.reply)
	}
	b.closed, b.in, b.out = true, nil, nil
	c.memory.put(b.region)
	return nil
}
