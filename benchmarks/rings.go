package benchmarks

import (
	"context"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// slots divides memory into buffers of one message each, which a test goes
// round. Fewer than asked for when they are large: all together take windowBytes
// at most, so that a run at 1 MiB stays within bounded memory and, with its
// counterpart, within a usual last-level cache.
type slots struct{ size, stride, count int }

const (
	windowBytes = 4 << 20
	lineBytes   = 64
)

// newSlots makes at most most slots, and at least two unless most is one.
func newSlots(size, most int) slots {
	stride := (max(size, 1) + lineBytes - 1) / lineBytes * lineBytes
	return slots{size, stride, min(most, max(2, windowBytes/stride))}
}

func (s slots) bytes() int       { return s.stride * s.count }
func (s slots) offset(i int) int { return i % s.count * s.stride }

// of is slot i of the memory.
func (s slots) of(mem []byte, i int) []byte {
	off := s.offset(i)
	return mem[off : off+s.size : off+s.size]
}

// verify looks whether the buffers that n messages went to have the mark.
func (s slots) verify(mem []byte, n int, mark byte) error {
	for slot := range min(n, s.count) {
		if m := s.of(mem, slot); !stamped(m, mark) {
			return fmt.Errorf("buffer %d is damaged: its ends are %#x and %#x instead of %#x", slot, m[0], m[len(m)-1], mark)
		}
	}
	return nil
}

// all lists the buffers of n messages, which go round: looked up, they save the
// hot loops the arithmetic.
func (s slots) all(mem []byte, n int) [][]byte {
	buffers := make([][]byte, n)
	for i := range buffers {
		buffers[i] = s.of(mem, i)
	}
	return buffers
}

// stamp marks both ends of a message.
func stamp(message []byte, mark byte) {
	message[0] = mark
	message[len(message)-1] = mark
}

// stamped loads both ends of a message and compares them with the mark.
func stamped(message []byte, mark byte) bool {
	return message[0] == mark && message[len(message)-1] == mark
}

// targetMark fills what is read.
const targetMark = 0xa5

func fill(mem []byte, mark byte) {
	mem[0] = mark
	for n := 1; n < len(mem); n *= 2 {
		copy(mem[n:], mem[:n])
	}
}

// requests makes a ring of them, one for each slot. One in every is signaled, none if
// that is 0.
func requests(length, every int, request func(slot int) transport.WorkRequest) []transport.WorkRequest {
	ring := make([]transport.WorkRequest, length)
	for slot := range ring {
		ring[slot] = request(slot)
		if every > 0 && (slot+1)%every == 0 {
			ring[slot] = ring[slot].With(transport.Signaled)
		}
	}
	return ring
}

// sender posts messages one at a time, from a ring of prepared requests whose
// buffers it does not give out again before the device is done with them. One
// request in every is signaled.
type sender struct {
	*end
	ring        []transport.WorkRequest
	every       uint64
	at          int    // the slot of the next request
	posted      uint64 // requests posted
	done        uint64 // of them, known to be finished
	completions []transport.Completion
}

// newSender prepares a ring: request makes the one for each slot.
func newSender(e *end, length int, request func(slot int) transport.WorkRequest) *sender {
	every := max(length/2, 1)
	// A ring of whole periods, so that the same slots are always the signaled ones.
	ring := requests(length/every*every, every, request)
	return &sender{end: e, ring: ring, every: uint64(every), completions: make([]transport.Completion, 4)}
}

// slot is the next buffer to send from, when the device is done with it.
func (s *sender) slot(ctx context.Context) (int, error) {
	for s.posted-s.done >= uint64(len(s.ring)) {
		if err := s.wait(ctx); err != nil {
			return 0, err
		}
	}
	return s.at, nil
}

// post sends the slot that slot gave out.
func (s *sender) post(slot int) error {
	wr := &s.ring[slot]
	if s.at++; s.at == len(s.ring) {
		s.at = 0
	}
	s.posted++
	wr.ID = s.posted
	wr.Imm = uint32(s.posted)
	_, err := s.conn.Post(*wr)
	return err
}

// send posts the next slot as it is, when the device is done with it.
func (s *sender) send(ctx context.Context) error {
	slot, err := s.slot(ctx)
	if err != nil {
		return err
	}
	return s.post(slot)
}

// reap takes a completion if one is due and there. It is for the time in which
// a message is under way.
func (s *sender) reap() error {
	if s.posted-s.done < s.every {
		return nil
	}
	n, err := s.sends.Poll(s.completions)
	if err != nil {
		return err
	}
	return s.take(n)
}

// wait waits for a completion.
func (s *sender) wait(ctx context.Context) error {
	n, err := s.sends.Wait(ctx, s.completions, s.spin)
	if err != nil {
		return err
	}
	return s.take(n)
}

func (s *sender) take(n int) error {
	for i := range s.completions[:n] {
		c := &s.completions[i]
		if c.Status != transport.StatusOK {
			return s.failed(c)
		}
		s.done = max(s.done, c.ID) // 0: a request that somebody else posted
	}
	return nil
}

// receiver takes messages one at a time, into a ring of prepared receives.
type receiver struct {
	*end
	ring        []transport.WorkRequest
	missing     int // receives that completed and were not posted again
	at          int // the first of them
	completions []transport.Completion
}

// newReceiver prepares a ring and posts all of it: request makes the receive of
// each slot.
func newReceiver(e *end, length int, request func(slot int) transport.WorkRequest) (*receiver, error) {
	r := &receiver{end: e, ring: requests(length, 0, request), completions: make([]transport.Completion, 1)}
	_, err := e.conn.PostRecv(r.ring...)
	return r, err
}

// next waits for a message and returns its completion, valid until the next
// call. Its slot is Completion.ID.
func (r *receiver) next(ctx context.Context) (*transport.Completion, error) {
	if _, err := r.receives.Wait(ctx, r.completions, r.spin); err != nil {
		return nil, err
	}
	c := &r.completions[0]
	if c.Status != transport.StatusOK {
		return nil, r.failed(c)
	}
	r.missing++
	return c, nil
}

// restock posts the receives that were taken again. It is for the time in which
// a message is under way.
func (r *receiver) restock() error {
	for ; r.missing > 0; r.missing-- {
		if _, err := r.conn.PostRecv(r.ring[r.at]); err != nil {
			return err
		}
		if r.at++; r.at == len(r.ring) {
			r.at = 0
		}
	}
	return nil
}

// bell lets one side tell the other that it is done: by Sends of one byte.
type bell struct {
	*sender
	in *receiver
}

// What a bell needs of its end, beside what else is posted there.
const (
	bellBytes = lineBytes
	bellDepth = 2
)

// newBell uses the bytes from off on in the end's own region and its inbox.
func newBell(e *end, off int) (*bell, error) {
	out := newSender(e, 1, func(int) transport.WorkRequest {
		return transport.Send(0, e.own.Span(off, 1))
	})
	in, err := newReceiver(e, bellDepth, func(slot int) transport.WorkRequest {
		return transport.Recv(uint64(slot), e.inbox.Span(slot, 1))
	})
	return &bell{out, in}, err
}

// ring sends, and returns when everything posted before on the connection is
// finished. Signaled requests of others that are still outstanding must have the
// ID 0.
func (b *bell) ring(ctx context.Context) error {
	err := b.send(ctx)
	for err == nil && b.done < b.posted {
		err = b.wait(ctx)
	}
	return err
}

// hear waits for the other side's ring.
func (b *bell) hear(ctx context.Context) error {
	if _, err := b.in.next(ctx); err != nil {
		return err
	}
	return b.in.restock()
}

// pipeline keeps up to depth requests outstanding, posted in batches of which
// the last one is signaled. The buffers go round.
type pipeline struct {
	*end
	ring        []transport.WorkRequest // whole batches
	batch, at   int
	outstanding int
	completions []transport.Completion
}

// batches divides a depth into a few batches of one length.
func batches(depth int) (batch, total int) {
	batch = max(depth/4, 1)
	return batch, depth / batch * batch
}

// bulkSlots are the buffers that a bandwidth test goes round.
func bulkSlots(size, depth int) slots {
	_, total := batches(depth)
	return newSlots(size, total)
}

// newPipeline prepares the ring: request makes the one for each slot.
func newPipeline(e *end, depth int, request func(slot int) transport.WorkRequest) *pipeline {
	batch, total := batches(depth)
	return &pipeline{end: e, ring: requests(total, batch, request), batch: batch, completions: make([]transport.Completion, 8)}
}

// post posts up to n requests, no more than the rest of a batch, when they fit,
// and returns how many.
func (p *pipeline) post(ctx context.Context, n int) (int, error) {
	n = min(n, p.batch-p.at%p.batch)
	for p.outstanding+n > len(p.ring) {
		if err := p.wait(ctx); err != nil {
			return 0, err
		}
	}
	posted, err := p.conn.Post(p.ring[p.at : p.at+n]...)
	p.outstanding += posted
	p.at = (p.at + posted) % len(p.ring)
	if err == transport.ErrQueueFull {
		return posted, p.wait(ctx)
	}
	return posted, err
}

// wait waits for a batch to be finished.
func (p *pipeline) wait(ctx context.Context) error {
	n, err := p.sends.Wait(ctx, p.completions, p.spin)
	if err != nil {
		return err
	}
	for i := range p.completions[:n] {
		c := &p.completions[i]
		if c.Status != transport.StatusOK {
			return p.failed(c)
		}
		p.outstanding -= p.batch
	}
	return nil
}

// drained forgets what is outstanding, after something posted later has
// completed.
func (p *pipeline) drained() { p.outstanding, p.at = 0, 0 }
