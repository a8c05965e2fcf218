package benchmarks

import (
	"context"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

func init() {
	add(&test{
		name:  "write-imm-lat",
		about: "round trip of a write with immediate data each way, through completions",
		modes: allModes, defaultSize: 64, minSize: 1, maxSize: maxSize,
		iterations: latencyIterations, baseline: bouncing,
		measure: newWriteImmLatency, serve: newWriteImmLatency,
	})
	add(&test{
		name:  "send-lat",
		about: "round trip of a send each way, into receives posted in advance",
		modes: allModes, defaultSize: 64, minSize: 1, maxSize: maxSize,
		iterations: latencyIterations, baseline: bouncing,
		measure: newSendLatency, serve: newSendLatency,
	})
}

// messageLatency is either side of write-imm-lat and of send-lat: messages that
// complete receives.
type messageLatency struct {
	*end
	out      *sender
	in       *receiver
	slots    slots  // of what is sent, in own
	arrivals slots  // of what is received
	memory   []byte // in which arrivals are
	leads    bool   // the measuring side
	round    uint64 // of the message last sent or awaited
	pace     pace
}

func newWriteImmLatency(ctx context.Context, s *session) (side, error) {
	return newMessageLatency(ctx, s, true)
}

func newSendLatency(ctx context.Context, s *session) (side, error) {
	return newMessageLatency(ctx, s, false)
}

func newMessageLatency(ctx context.Context, s *session, imm bool) (side, error) {
	size := s.params.SizeBytes
	m := &messageLatency{slots: newSlots(size, latencyRing), leads: s.peer != nil, pace: newPace(size)}
	m.arrivals = m.slots
	c := endConfig{
		ops: transport.Ops(transport.OpSend), own: m.slots.bytes(),
		sendDepth: m.slots.count, recvDepth: m.slots.count, inline: inlineBytes(s.device, size),
	}
	if imm {
		m.arrivals = newSlots(size, 1)
		c.ops, c.landing, c.access = transport.Ops(transport.OpWriteImm), m.arrivals.bytes(), transport.RemoteWrite
	} else {
		c.inbox = m.arrivals.bytes()
	}
	var err error
	if m.end, err = newEnd(ctx, s, c); err != nil {
		return nil, closing(m.end, err)
	}
	var receive func(slot int) transport.WorkRequest
	if imm {
		if int(m.far.Len) < size {
			return nil, closing(m.end, fmt.Errorf("the peer granted %d bytes", m.far.Len))
		}
		m.memory = m.landing.Bytes()
		receive = func(slot int) transport.WorkRequest {
			return transport.Recv(uint64(slot), transport.Span{})
		}
	} else {
		m.memory = m.inbox.Bytes()
		receive = func(slot int) transport.WorkRequest {
			return transport.Recv(uint64(slot), m.inbox.Span(m.arrivals.offset(slot), size))
		}
	}
	m.out = newSender(m.end, m.slots.count, func(slot int) transport.WorkRequest {
		local := m.own.Span(m.slots.offset(slot), size)
		wr := transport.Send(0, local)
		if imm {
			wr = transport.WriteImm(0, local, m.far, 0)
		}
		if c.inline > 0 {
			wr = wr.With(transport.Inline)
		}
		return wr
	})
	if m.in, err = newReceiver(m.end, m.slots.count, receive); err != nil {
		return nil, closing(m.end, err)
	}
	return m, nil
}

func (m *messageLatency) run(ctx context.Context, n int, out *samples) error {
	if !m.leads {
		return m.echo(ctx, n)
	}
	var took int64
	last := clock()
	for i := range n {
		m.round++
		if err := m.put(ctx); err != nil {
			return err
		}
		if i > 0 {
			out.add(took) // while the next message is under way
		}
		if err := m.pace.ended(ctx, i); err != nil {
			return err
		}
		if err := m.tidy(); err != nil {
			return err
		}
		if err := m.await(ctx); err != nil {
			return err
		}
		now := clock()
		took, last = now-last, now
	}
	out.add(took)
	return nil
}

func (m *messageLatency) echo(ctx context.Context, n int) error {
	for range n {
		m.round++
		if err := m.await(ctx); err != nil {
			return err
		}
		if err := m.put(ctx); err != nil {
			return err
		}
		if err := m.tidy(); err != nil {
			return err
		}
	}
	return nil
}

// put sends the message of this round.
func (m *messageLatency) put(ctx context.Context) error {
	slot, err := m.out.slot(ctx)
	if err != nil {
		return err
	}
	stamp(m.slots.of(m.own.Bytes(), slot), byte(m.round))
	return m.out.post(slot)
}

// tidy does what can be done while a message is under way.
func (m *messageLatency) tidy() error {
	if err := m.in.restock(); err != nil {
		return err
	}
	return m.out.reap()
}

// await waits for the message of this round and looks at its payload.
func (m *messageLatency) await(ctx context.Context) error {
	c, err := m.in.next(ctx)
	if err != nil {
		return err
	}
	if !stamped(m.arrivals.of(m.memory, int(c.ID)), byte(m.round)) {
		return m.corrupt(c)
	}
	return nil
}

func (m *messageLatency) corrupt(c *transport.Completion) error {
	message := m.arrivals.of(m.memory, int(c.ID))
	return fmt.Errorf("message %d arrived damaged: its ends are %#x and %#x instead of %#x",
		m.round, message[0], message[len(message)-1], byte(m.round))
}
