package invoke

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// Await waits until any call is answered. It is for programs that drive several
// Futures, and look at each with Future.Ready when it returns. It
// returns at once if calls were answered since Await or Poll said so last, and
// it may return when none of those that are looked at was: the reply of a call
// that was waited for, or abandoned, counts, too.
//
// When the context ends it returns the context's error, and abandons nothing: so
// a sleep can be ended from elsewhere, for a new call to be sent. When the
// connection has ended it returns a *GoneError; what was answered before can
// still be collected.
func (c *Client) Await(ctx context.Context) error {
	if err := c.owner.Acquire(); err != nil {
		return c.refuse(err, StartedUnknown)
	}
	defer c.owner.Release()
	for !c.news && c.failed == nil {
		if err := c.wait(ctx); err != nil {
			return err
		}
	}
	return c.tell()
}

// Poll is Await that does not wait: it reports whether calls were answered.
func (c *Client) Poll() (answered bool, err error) {
	if err := c.owner.Acquire(); err != nil {
		return false, c.refuse(err, StartedUnknown)
	}
	if !c.news && c.failed == nil {
		c.look()
	}
	if answered = c.news; answered || c.failed != nil {
		err = c.tell()
	}
	c.owner.Release()
	return answered, err
}

// tell ends an Await that has something to say.
func (c *Client) tell() error {
	c.news = false
	if c.failed != nil {
		return c.gone(StartedUnknown)
	}
	return nil
}

// await waits until the slot's call is finished. If the context ends first, it
// abandons the call.
func (c *Client) await(ctx context.Context, s *clientSlot) error {
	for s.state == slotInFlight {
		if err := c.wait(ctx); err != nil {
			c.abandon(s)
			return c.ended(s.handle, err)
		}
	}
	return nil
}

// wait waits for completions and takes them. It fails with the context's error
// only: if the connection ends, that finishes the calls.
func (c *Client) wait(ctx context.Context) error {
	n, err := c.replyQueue.Wait(ctx, c.completions[:], c.spin)
	c.take(n)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.fail(err)
	}
	return nil
}

// take notes the n completions of the reply queue in c.completions.
func (c *Client) take(n int) {
	if n > 0 {
		c.news = true
	}
	for i := range c.completions[:n] {
		d := &c.completions[i]
		if d.Op != transport.OpRecvImm || d.Status != transport.StatusOK {
			c.takeFailure(d)
			continue
		}
		c.answered++
		index, status, tag := decodeReplyImm(d.Imm)
		if int(index) >= len(c.slots) {
			c.violated(d)
			continue
		}
		s := &c.slots[index]
		bytes := d.Bytes - headerBytes // wraps around if there is no header
		if !s.unanswered() || tag != uint16(s.id) || bytes > s.room {
			c.violated(d)
			continue
		}
		s.status, s.bytes = status, bytes
		if s.state == slotAbandoned {
			c.late(s)
			continue
		}
		s.state = slotFinished
	}
}

// late takes the reply of an abandoned call: the end of its
// quarantine.
func (c *Client) late(s *clientSlot) {
	c.abandoned--
	if s.buffer != nil {
		s.buffer.slot = nil
	}
	if s.owed { // the cancel could not be sent
		s.owed = false
		if !s.gone && c.tryFinished(s) != nil {
			c.conn.Close() // or the worker would keep the result
		}
	}
	c.release(s)
}

// restock replaces the receives that replies have used.
func (c *Client) restock() {
	if err := c.repost(); err != nil {
		c.fail(err)
	}
}

// repost posts receives, many at once.
func (c *Client) repost() error {
	for c.answered >= len(c.receives) {
		n, err := c.conn.PostRecv(c.receives...)
		c.answered -= n
		if err != nil {
			return err
		}
	}
	return nil
}

// deadlineSlack is how long before its deadline a call counts as given up for that: timers
// and clocks are not read at the same time.
const deadlineSlack = 100 * time.Microsecond

// abandon gives a call up. Its slot stays in quarantine until the reply comes;
// the worker is asked not to start it.
func (c *Client) abandon(s *clientSlot) {
	if s.state != slotInFlight {
		return
	}
	s.state = slotAbandoned
	c.abandoned++
	cancel := &c.staged[0]
	*cancel = transport.WriteImm(maxSlots, transport.Span{}, s.worker, requestImm(s.index, kindCancel, cancelTag(s.id)))
	c.setFlags(cancel)
	// If it cannot be sent, the worker executes a call whose result is dropped. The one is seen when the
	// worker looks at its requests, the other while the function runs.
	_, err := c.conn.Post(c.staged[:1]...)
	s.owed = err != nil && s.buffer != nil && s.buffer.target != nil
	kind := byte(noticeCancel)
	if s.deadline != 0 && now()+int64(deadlineSlack) >= s.deadline {
		kind = noticeExpired
	}
	_ = c.conn.Notify(encodeGivenUp(kind, s.index, s.id))
}

// takeFailure takes a completion that is no reply: the connection ended, or the
// worker sent what it should not.
func (c *Client) takeFailure(d *transport.Completion) {
	if d.Status == transport.StatusOK {
		c.violated(d)
		return
	}
	c.fail(d.Err())
}

// violated ends the connection to a worker that does not keep to the protocol.
func (c *Client) violated(d *transport.Completion) {
	c.fail(fmt.Errorf("the worker broke the protocol: a %v of %d bytes with immediate data %#x answers no call", d.Op, d.Bytes, d.Imm))
	c.conn.Close()
}

// fail notes that the connection ended and finishes all calls. The connection
// knows the reason better than what was seen of it, and a moment later.
func (c *Client) fail(seen error) {
	if c.failed != nil {
		return
	}
	const patience = 10 * time.Millisecond
	select {
	case <-c.conn.Done():
		seen = c.conn.Err()
	case <-time.After(patience):
	}
	if c.closing.Load() && errors.Is(seen, transport.ErrClosed) {
		seen = ErrClosed
	}
	c.failed = seen
	for i := range c.slots {
		switch s := &c.slots[i]; s.state {
		case slotInFlight:
			s.state, s.gone = slotFinished, true
		case slotAbandoned:
			c.late(s)
		}
	}
}
