package transporttest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/transport"
)

// consumeArgs describe the receiving end of a stream.
type consumeArgs struct {
	Loop  loopArgs
	Into  handle // Depth slots of Bytes
	Bytes int
	Depth int // receives kept posted
	Count int // how many messages; 0: until the connection fails
	// Written, if Bytes is at least 8, is the memory that a stream of WriteImm
	// fills, WrittenSlots of Bytes.
	Written      handle
	WrittenSlots int
}

// consumeResult is how a stream of receives ended.
type consumeResult struct {
	OK      int
	Flushed int // receives that ended in an error, the first of which is Failure
	Failure transport.Completion
}

// ended is how many receives have.
func (r *consumeResult) ended() int { return r.OK + r.Flushed }

// complete enters the completion of a receive. Their IDs are 0, 1, 2, ...
func (r *consumeResult) complete(c transport.Completion) error {
	if c.ID != uint64(r.ended()) {
		return fmt.Errorf("%w: receive %d completed, it is %d's turn: %+v", errUnexpected, c.ID, r.ended(), c)
	}
	switch {
	case c.Status == transport.StatusOK && r.Flushed > 0:
		return fmt.Errorf("%w: a receive went well after another had failed: %+v", errUnexpected, c)
	case c.Status == transport.StatusOK:
		r.OK++
		return nil
	case r.Flushed == 0:
		r.Failure = c
	}
	r.Flushed++
	return nil
}

// consumeMessages keeps receives posted and checks that the messages of a stream
// come in order and whole.
var consumeMessages = define("consume", func(a *agent, args consumeArgs) (consumeResult, error) {
	c := &consumer{
		loop: a.loop(args.Loop), consumeArgs: args,
		into: get[*transport.Region](a, args.Into), written: find[*transport.Region](a, args.Written),
	}
	err := catch(c.run)
	if err != nil {
		err = fmt.Errorf("receives, %d posted, %d went well, %d failed: %w", c.posted, c.result.OK, c.result.Flushed, err)
	}
	return c.result, err
})

type consumer struct {
	*loop
	consumeArgs
	into, written *transport.Region
	posted        int
	result        consumeResult
	got           [16]transport.Completion
}

func (c *consumer) run() {
	var idle pause
	for over := false; ; {
		over = over || c.result.Flushed > 0
		for more := true; more && !over && c.posted-c.result.ended() < c.Depth && (c.Count == 0 || c.posted < c.Count); {
			more, over = c.postOne()
		}
		n := must(c.received.Poll(c.got[:]))
		for _, completion := range c.got[:n] {
			check(c.take(completion))
		}
		if c.Count > 0 && c.result.OK == c.Count || over && c.result.ended() == c.posted {
			return
		}
		check(idle.after(n > 0, c.patience, "a message"))
	}
}

// postOne posts a receive. It reports whether that was taken, and whether the
// connection is closed.
func (c *consumer) postOne() (taken, closed bool) {
	into := c.into.Span(c.posted%c.Depth*c.Bytes, c.Bytes)
	_, err := c.conn.PostRecv(transport.Recv(uint64(c.posted), into))
	switch {
	case errors.Is(err, transport.ErrQueueFull):
		return false, false
	case errors.Is(err, transport.ErrClosed):
		return false, true
	}
	check(err)
	c.posted++
	return true, false
}

// take checks one completion. The messages' numbers are 1, 2, 3, ...
func (c *consumer) take(got transport.Completion) error {
	if err := c.result.complete(got); err != nil || got.Status != transport.StatusOK {
		return err
	}
	number := uint64(c.result.OK)
	if int(got.Bytes) != c.Bytes {
		return fmt.Errorf("%w: message %d has %d bytes, not %d", errUnexpected, number, got.Bytes, c.Bytes)
	}
	switch {
	case got.HasImm:
		return c.checkWritten(got, number)
	case c.Bytes >= 8:
		at := int(got.ID) % c.Depth * c.Bytes
		if in := binary.LittleEndian.Uint64(c.into.Bytes()[at:]); in != number {
			return fmt.Errorf("%w: message %d says that it is %d", errUnexpected, number, in)
		}
	}
	return nil
}

// checkWritten checks that what was written before an immediate value is there,
// or something later.
func (c *consumer) checkWritten(got transport.Completion, number uint64) error {
	if got.Imm != uint32(number) {
		return fmt.Errorf("%w: immediate value %d came as number %d", errUnexpected, got.Imm, number)
	}
	if c.written == nil || c.Bytes < 8 || effort.Race() {
		return nil // the race detector would see a later write of the same slot
	}
	at := int(number) % c.WrittenSlots * c.Bytes
	if in := binary.LittleEndian.Uint64(c.written.Bytes()[at:]); in < number {
		return fmt.Errorf("%w: immediate value %d came before the data written with it; the slot still says %d", errUnexpected, number, in)
	}
	return nil
}

// consume starts to receive an endless stream into memory of its own.
func (s side) consume(bytes int) *future[consumeResult] {
	s.t.Helper()
	into := s.alloc(s.recvDepth*bytes, transport.LocalOnly)
	return consumeMessages.start(s.end, consumeArgs{Loop: s.loopArgs(), Into: into.id, Bytes: bytes, Depth: s.recvDepth})
}
