package invoke

import (
	"context"
	"errors"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// admit refuses calls that cannot be sent, or whose time is over. timeout is how much
// time the caller allows, 0 for no limit.
func (c *Client) admit(ctx context.Context, f *Handle, allowed time.Duration) (timeout time.Duration, err error) {
	if f.client != c {
		return 0, ErrForeignHandle
	}
	if err := ctx.Err(); err != nil {
		return 0, c.unsent(f, err)
	}
	if c.conn.Err() != nil { // what is posted now would not be sent, and that could not be known later
		c.fail(nil)
		return 0, c.gone(StartedNo)
	}
	timeout = allowed
	deadline, limited := ctx.Deadline()
	if limited {
		if left := time.Until(deadline); allowed == 0 || left < allowed {
			timeout = left
		}
	}
	if timeout < 0 || limited && timeout == 0 {
		return 0, c.unsent(f, context.DeadlineExceeded)
	}
	return timeout, nil
}

// stage makes the request of a call with the first bytes of the slot's input, or
// of its buffer's. The slot is the last on the list of free ones, and taken off.
func (c *Client) stage(s *clientSlot, f *Handle, bytes int, timeout time.Duration) *transport.WorkRequest {
	kind, header, message, returned, length := kindPlain, s.header, s.local, s.returned, bytes
	room := s.returned.Len - headerBytes // for what comes with the reply
	if b := s.buffer; b != nil {
		kind, header, message, returned = kindFull, b.header, b.message, b.returned
		length, room = c.announce(b, bytes), uint32(len(b.out))
	}
	s.deadline = 0
	if timeout > 0 {
		kind, s.deadline = kindFull, now()+int64(timeout)
		if s.attached { // by an earlier call
			s.attached = false
			putSource(s.header, transport.RemoteSpan{})
			putMetadataBytes(s.header, 0)
			takeOffer(s.header)
		}
	}
	c.free = c.free[:len(c.free)-1]
	s.id += uint64(len(c.slots))
	s.handle, s.state, s.room = f, slotInFlight, room
	putRequest(header, s.id, f.index, uint32(bytes), timeout, returned)
	wr := &c.staged[c.length]
	setWriteImm(wr, uint64(s.index), message.Slice(0, headerBytes+length), s.worker, requestImm(s.index, kind, f.index))
	c.setFlags(wr)
	c.length++
	return wr
}

// setWriteImm is transport.WriteImm into a request that has never been anything
// else. Field by field, because a literal would be put together on the stack and
// copied, and the copy would have to wait for its parts.
func setWriteImm(wr *transport.WorkRequest, id uint64, local transport.Span, remote transport.RemoteSpan, imm uint32) {
	wr.ID, wr.Op, wr.Flags, wr.Imm = id, transport.OpWriteImm, 0, imm
	wr.Local = local
	wr.Remote = remote
}

// unstage undoes stage.
func (c *Client) unstage(s *clientSlot) {
	s.id -= uint64(len(c.slots))
	if s.buffer != nil {
		s.buffer.slot = nil
	}
	c.release(s)
}

// setFlags decides how a request is posted: inline if it is short, and one in
// signalEvery signaled.
func (c *Client) setFlags(wr *transport.WorkRequest) {
	if wr.Bytes() <= uint64(c.inlineBytes) {
		wr.Flags |= transport.Inline
	}
	if c.sent++; c.sent >= c.signalEvery {
		c.sent = 0
		c.owed = true
		wr.Flags |= transport.Signaled
	}
}

// flush posts what was staged, and returns how much of it; fewer than all with
// an error only, and then the rest was undone.
func (c *Client) flush(ctx context.Context) (int, error) {
	n := c.length
	c.length = 0
	posted, err := c.conn.Post(c.staged[:n]...)
	if err != nil {
		return c.flushSlowly(ctx, posted, n, err)
	}
	// What follows can be done while the requests are on their way.
	if c.answered >= len(c.receives) {
		c.restock()
	}
	if c.owed {
		c.reclaim()
	}
	return n, nil
}

// flushSlowly waits for room in the send queue.
func (c *Client) flushSlowly(ctx context.Context, posted, n int, err error) (int, error) {
	for errors.Is(err, transport.ErrQueueFull) {
		var acks int
		if acks, err = c.sendQueue.Wait(ctx, c.completions[:], c.spin); err == nil {
			err = firstFailure(c.completions[:acks])
		}
		if err != nil {
			break
		}
		c.staged[posted].Flags |= transport.Signaled
		var more int
		more, err = c.conn.Post(c.staged[posted:n]...)
		posted += more
	}
	if err == nil {
		return n, nil
	}
	for i := n - 1; i >= posted; i-- {
		c.unstage(&c.slots[c.staged[i].ID])
	}
	if ctx.Err() != nil {
		return posted, c.unsent(nil, ctx.Err())
	}
	c.fail(err)
	return posted, c.gone(StartedNo)
}

// reclaim polls the completions of sends, which frees entries of the send queue.
func (c *Client) reclaim() {
	c.owed = false
	n, err := c.sendQueue.Poll(c.completions[:])
	if err == nil {
		err = firstFailure(c.completions[:n])
	}
	if err != nil {
		c.fail(err)
	}
}

func firstFailure(completions []transport.Completion) error {
	for i := range completions {
		if completions[i].Status != transport.StatusOK {
			return completions[i].Err()
		}
	}
	return nil
}
