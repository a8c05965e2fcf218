package invoke

import (
	"context"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// Buffer is registered memory for the input and the result of a call that
// copies neither: the transport takes the input from it and puts the result
// into it. A buffer serves one call at a time.
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
	message  transport.Span // header and in
	returned transport.RemoteSpan
	slot     *clientSlot // of the call under way
}

// NewBuffer makes a buffer for inputs of up to inBytes and results of up to
// outBytes, neither more than Client.SlotBytes.
func (c *Client) NewBuffer(inBytes, outBytes int) (*Buffer, error) {
	if err := c.owner.Acquire(); err != nil {
		return nil, c.refuse(err)
	}
	defer c.owner.Release()
	if most := c.layout.slotBytes; inBytes < 0 || outBytes < 0 || inBytes > most || outBytes > most {
		return nil, &Error{Status: StatusTooLarge, Worker: c.worker, Started: StartedNo,
			Message: fmt.Sprintf("a buffer for inputs of %d bytes and results of %d; a slot holds %d; connect with larger slots (SlotBytes)", inBytes, outBytes, most)}
	}
	outBytes = max(outBytes, minSlotBytes) // room for a message
	in, out := layout{1, inBytes}, layout{1, outBytes}
	region, err := c.domain.Alloc(in.bytes()+out.bytes(), transport.RemoteWrite)
	if err != nil {
		return nil, fmt.Errorf("invoke: new buffer: %w", err)
	}
	b := &Buffer{client: c, region: region}
	b.header, b.in = in.at(region.Bytes(), 0)
	b.reply, b.out = out.at(region.Bytes()[in.bytes():], 0)
	b.message = in.span(region, 0)
	b.returned = region.Remote(in.bytes(), headerBytes+outBytes)
	return b, nil
}

// In is where the input goes, from the front on. It must not be written while a
// call is under way.
func (b *Buffer) In() []byte { return b.in }

// Call is Client.Call with the first n bytes of In as input. It returns the
// result in place. Besides Client.Call's errors there is ErrBufferBusy.
func (b *Buffer) Call(ctx context.Context, f *Handle, n int) ([]byte, error) {
	if err := b.Go(ctx, f, n); err != nil {
		return nil, err
	}
	return b.Wait(ctx)
}

// Go sends the first n bytes of In to the function f and returns without
// waiting for the reply: see Client.Go. Wait or Abandon has to follow.
func (b *Buffer) Go(ctx context.Context, f *Handle, n int) error {
	c := b.client
	if err := c.owner.Acquire(); err != nil {
		return c.refuse(err)
	}
	err := b.begin(ctx, f, n)
	c.owner.Release()
	return err
}

func (b *Buffer) begin(ctx context.Context, f *Handle, n int) error {
	c := b.client
	if b.slot != nil {
		if c.look(); b.slot != nil {
			return ErrBufferBusy
		}
	}
	if n < 0 || n > len(b.in) {
		return c.inputTooLarge(f, n, len(b.in))
	}
	timeout, err := c.admit(ctx, f)
	if err != nil {
		return err
	}
	s, err := c.credit(ctx, true)
	if err != nil {
		return err
	}
	s.buffer, b.slot = b, s
	c.stage(s, f, n, timeout)
	_, err = c.flush(ctx)
	return err
}

// Wait waits for the reply and returns the result in place. If the context ends
// first, the call is abandoned.
func (b *Buffer) Wait(ctx context.Context) ([]byte, error) {
	c := b.client
	if err := c.owner.Acquire(); err != nil {
		return nil, c.refuse(err)
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
	c.collected = b.reply
	c.release(s)
	return b.out[:s.bytes], nil
}

// Abandon gives the call under way up: see Future.Abandon.
func (b *Buffer) Abandon() error {
	c := b.client
	if err := c.owner.Acquire(); err != nil {
		return c.refuse(err)
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

// Close frees the buffer's memory. It fails with ErrBufferBusy while a call is
// not answered.
func (b *Buffer) Close() error {
	c := b.client
	if err := c.owner.Acquire(); err != nil {
		if err == transport.ErrClosed {
			return nil // the client freed it
		}
		return c.refuse(err)
	}
	defer c.owner.Release()
	if b.slot != nil {
		if c.look(); b.slot != nil {
			return ErrBufferBusy
		}
	}
	if c.collected == b.reply {
		c.collected = nil
	}
	return b.region.Close()
}
