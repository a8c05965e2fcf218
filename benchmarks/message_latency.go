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
		iterations: latencyIterations, baseline: answered,
		measure: newWriteImmLatency, serve: newWriteImmLatency,
	})
	add(&test{
		name:  sendLat,
		about: "round trip of a send each way, into receives posted in advance",
		modes: allModes, defaultSize: 64, minSize: 1, maxSize: maxSize,
		iterations: latencyIterations, baseline: answered,
		measure: newSendLatency, serve: newSendLatency,
	})
}

// sendLat is what leases are compared with.
const sendLat = "send-lat"

// messageLatency is either side of write-imm-lat and of send-lat: messages that
// complete receives.
type messageLatency struct {
	*end
	out      *sender
	in       *receiver
	sent     [][]byte // by slot of out: what is sent
	received [][]byte // by slot of in: where it arrives
	leads    bool     // the measuring side
	round    uint64   // of the message last sent or awaited
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
	m := &messageLatency{leads: s.peer != nil, pace: newPace(size)}
	bufs := newSlots(size, latencyRing)
	c := endConfig{
		ops: transport.Ops(transport.OpSend), own: bufs.bytes(), inbox: bufs.bytes(),
		sendDepth: bufs.count, recvDepth: bufs.count, inline: inlineBytes(s.device, size),
	}
	if imm {
		c.inbox, c.landing = 0, newSlots(size, 1).bytes()
		c.ops, c.access = transport.Ops(transport.OpWriteImm), transport.RemoteWrite
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
		m.received = newSlots(size, 1).all(m.landing.Bytes(), bufs.count)
		receive = func(slot int) transport.WorkRequest {
			return transport.Recv(uint64(slot), transport.Span{})
		}
	} else {
		m.received = bufs.all(m.inbox.Bytes(), bufs.count)
		receive = func(slot int) transport.WorkRequest {
			return transport.Recv(uint64(slot), m.inbox.Span(bufs.offset(slot), size))
		}
	}
	m.sent = bufs.all(m.own.Bytes(), bufs.count)
	m.out = newSender(m.end, bufs.count, func(slot int) transport.WorkRequest {
		local := m.own.Span(bufs.offset(slot), size)
		wr := transport.Send(0, local)
		if imm {
			wr = transport.WriteImm(0, local, m.far, 0)
		}
		if c.inline > 0 {
			wr = wr.With(transport.Inline)
		}
		return wr
	})
	if m.in, err = newReceiver(m.end, bufs.count, receive); err != nil {
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
	stamp(m.sent[slot], byte(m.round))
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
	if !stamped(m.received[c.ID], byte(m.round)) {
		return m.corrupt(c)
	}
	return nil
}

func (m *messageLatency) corrupt(c *transport.Completion) error {
	message := m.received[c.ID]
	return fmt.Errorf("message %d arrived damaged: its ends are %#x and %#x instead of %#x",
		m.round, message[0], message[len(message)-1], byte(m.round))
}
