package invoke

import (
	"context"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// Call sends in to the function f, waits for the reply and copies the result to
// out; it returns the result's length in bytes. in and out are the caller's, of
// any kind of memory, and in use until Call returns; an in of ClientConfig.Memory, if the
// call is abandoned, until it is answered. Either may be longer than a
// slot, up to what Client.RendezvousBytes says; a Buffer saves the copies.
//
// If the context ends first, the call is abandoned: its slot is a credit again
// once the reply has come, which is dropped. The deadline of the context
// travels with the call; a worker does not start it later. There is room for a result of
// len(out), or of CallOptions.Room if that is more.
//
// Errors: *Error (see Status), *GoneError, ErrNoCredit, ErrConcurrentUse,
// ErrForeignHandle, and one for metadata with an impossible key.
func (c *Client) Call(ctx context.Context, f *Handle, in, out []byte, options ...CallOptions) (int, error) {
	if err := c.owner.Acquire(); err != nil {
		return 0, c.refuse(err, StartedNo)
	}
	n, err := c.call(ctx, f, in, out, options)
	c.owner.Release()
	return n, err
}

func (c *Client) call(ctx context.Context, f *Handle, in, out []byte, options []CallOptions) (int, error) {
	o := CombineOptions(options...)
	o.Out = out
	o.Room = max(o.Room, len(out))
	s, err := c.begin(ctx, f, in, &o)
	if err != nil {
		return 0, err
	}
	if err := c.await(ctx, s); err != nil {
		return 0, err
	}
	return c.collect(s, out)
}

// begin copies the input into a free slot, or beside it, and sends it off. There
// is room for a result of a slot, or of as much as the option says if that is more.
func (c *Client) begin(ctx context.Context, f *Handle, in []byte, o *CallOptions) (*clientSlot, error) {
	timeout, err := c.admit(ctx, f, o.Timeout)
	if err != nil {
		return nil, err
	}
	metadata, err := c.metadataBytes(f, o.Metadata)
	if err != nil {
		return nil, err
	}
	s, err := c.credit(ctx, !o.NoWait)
	if err != nil {
		return nil, err
	}
	if len(in)+metadata > c.layout.slotBytes || o.Room > c.layout.slotBytes {
		err = c.load(s, f, in, metadata, o.Room, o.Out)
		if err != nil {
			return nil, err
		}
	} else {
		copy(s.input, in)
	}
	wr := c.stage(s, f, len(in), timeout)
	if metadata > 0 {
		c.attach(wr, s, len(in), o.Metadata, metadata)
	}
	_, err = c.flush(ctx)
	return s, err
}

// credit returns a free slot, which it leaves on the list. If there is none it
// waits, unless told not to, for replies of abandoned calls: those of others
// give nothing back before the caller collects them.
func (c *Client) credit(ctx context.Context, wait bool) (*clientSlot, error) {
	for {
		if c.failed != nil {
			return nil, c.gone(StartedNo)
		}
		if n := len(c.free); n > 0 {
			return &c.slots[c.free[n-1]], nil
		}
		if !wait || c.abandoned == 0 {
			return nil, ErrNoCredit
		}
		if err := c.wait(ctx); err != nil {
			return nil, c.unsent(nil, err)
		}
	}
}

// collect ends a finished call: it hands the result out and makes the slot a
// credit.
func (c *Client) collect(s *clientSlot, out []byte) (int, error) {
	n := int(s.bytes)
	if s.buffer != nil || s.gone || s.status != StatusOK || n > len(out) {
		return c.collectSlowly(s, out)
	}
	copy(out, s.result[:n])
	c.collected = s.reply
	c.release(s)
	return n, nil
}

// release makes a slot a credit.
func (c *Client) release(s *clientSlot) {
	if b := s.buffer; b != nil {
		s.buffer = nil
		if b.lent {
			c.memory.put(b.region)
		}
	}
	s.state = slotFree
	c.free = append(c.free, s.index)
}

// collectFailure ends a call that did not succeed, or whose result does not fit
// into room bytes of the caller.
func (c *Client) collectFailure(s *clientSlot, room int) error {
	defer c.release(s)
	if s.gone {
		return c.gone(StartedUnknown)
	}
	reply, payload := s.reply, s.result
	if s.buffer != nil {
		reply, payload = s.buffer.reply, s.buffer.out
	}
	c.keep(reply)
	e := &Error{Status: s.status, Function: s.handle.name, Worker: c.worker, Started: StartedYes}
	if s.status == StatusOK {
		e.Status = StatusTooLarge
		e.Message = fmt.Sprintf("the result has %d bytes, the caller made room for %d", s.bytes, room)
		return e
	}
	h := decodeReply(reply)
	if e.Code = h.code; !h.entered {
		e.Started = StartedNo
	}
	e.Message = string(payload[:s.bytes])
	return e
}

// gone is the error for a call after the end of the connection.
func (c *Client) gone(started Started) error {
	return &GoneError{Worker: c.worker, Started: started, Err: c.failed}
}

// tooLarge is the error for an input, or room for a result, that the worker does
// not take.
func (c *Client) tooLarge(name, what string, size int) error {
	message := fmt.Sprintf("%s has %d bytes; the worker takes calls of %d", what, size, c.rendezvousBytes)
	if c.rendezvousBytes == 0 {
		message = fmt.Sprintf("%s has %d bytes, a slot holds %d, and the worker takes no calls beyond the slots; connect with larger ones (SlotBytes)",
			what, size, c.layout.slotBytes)
	}
	return &Error{Status: StatusTooLarge, Function: name, Worker: c.worker, Started: StartedNo, Message: message}
}

// unsent is the error for a call that was given up before it was sent.
func (c *Client) unsent(f *Handle, err error) error {
	if errors.As(err, new(*GoneError)) {
		return err
	}
	e := c.ended(f, err)
	e.Started, e.Message = StartedNo, "the call was not sent: "+e.Message
	return e
}

// ended is the error for a context's end.
func (c *Client) ended(f *Handle, err error) *Error {
	e := &Error{Status: StatusCanceled, Worker: c.worker, Message: err.Error(), Err: err}
	if f != nil {
		e.Function = f.name
	}
	if errors.Is(err, context.DeadlineExceeded) {
		e.Status = StatusDeadlineExceeded
	}
	return e
}

// refuse is the error for a client that is in use or closed: of a call that was,
// or may have been, started.
func (c *Client) refuse(err error, started Started) error {
	if errors.Is(err, transport.ErrClosed) {
		return &GoneError{Worker: c.worker, Started: started, Err: ErrClosed}
	}
	return concurrent(err)
}
