package invoke

import "context"

// makeCredit returns when a slot is free, or will be by itself.
func (c *Client) makeCredit(ctx context.Context, f *Handle) error {
	for len(c.free) == 0 && c.failed == nil {
		if s := c.oldestFinished(); s != nil {
			if len(c.aside) >= c.mostAside {
				return ErrNoCredit
			}
			c.putAside(s)
			return nil
		}
		if !c.unanswered() {
			return ErrNoCredit // all of them are answered calls of Buffers
		}
		if err := c.wait(ctx); err != nil {
			return c.unsent(f, err)
		}
	}
	return nil
}

// oldestFinished is the slot of the oldest call that is answered and has a Future,
// nil if there is none.
func (c *Client) oldestFinished() (oldest *clientSlot) {
	for i := range c.slots {
		s := &c.slots[i]
		if s.state == slotFinished && (s.buffer == nil || s.buffer.lent) && (oldest == nil || s.id-oldest.id > 1<<63) {
			oldest = s
		}
	}
	return oldest
}

func (c *Client) unanswered() bool {
	for i := range c.slots {
		if c.slots[i].unanswered() {
			return true
		}
	}
	return false
}

// putAside takes a finished call out of its slot, which is a credit then.
func (c *Client) putAside(s *clientSlot) {
	call := *s
	call.state = slotAside
	if s.buffer == nil {
		header := *s.reply
		call.reply, call.result = &header, append([]byte(nil), s.result[:s.bytes]...)
	}
	if c.aside == nil {
		c.aside = map[uint64]*clientSlot{}
	}
	c.aside[call.id] = &call
	s.buffer = nil // it is the call's
	c.release(s)
}
