package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// pingPongRing is how many buffers messages are sent from, at most.
const pingPongRing = 32

// pingPongSide is either side of a test whose messages go to and fro. The number of
// the message, its low byte, is at both ends of it.
type pingPongSide struct {
	*end
	out   *sender
	sent  [][]byte // by slot of out: what is sent
	round uint64   // of the message last sent or awaited
	pace  pace

	// Messages complete receives, or else memory is watched, as in perftest's ib_write_lat.
	in          *receiver
	received    [][]byte       // by slot of in: where it arrives
	first, last *atomic.Uint64 // the words of the landing with the message's ends
	poll        bool           // memory moves only while somebody polls
}

func newPingPong(ctx context.Context, s *session) (loop, error) {
	size, op := s.params.SizeBytes, s.test.op
	bufs := newSlots(size, pingPongRing)
	c := endConfig{
		ops: transport.Ops(op), own: bufs.bytes(), access: transport.RemoteWrite,
		sendDepth: bufs.count, recvDepth: bufs.count, inline: inlineBytes(s.device, size),
	}
	if op == transport.OpSend {
		c.inbox = bufs.bytes()
	} else {
		// The message ends with a word, which providers store last and in one piece.
		c.landing = (size + wordBytes - 1) &^ (wordBytes - 1)
		c.far = c.landing
		if op == transport.OpWrite {
			c.recvDepth = 1
		}
	}
	e, err := newEnd(ctx, s, c)
	if err != nil {
		return nil, err
	}
	p := &pingPongSide{end: e, sent: bufs.all(e.own.Bytes(), bufs.count), pace: newPace(size)}
	far := e.far.Slice(max(c.landing-size, 0), min(c.landing, size))
	p.out = newSender(e, bufs.count, func(slot int) transport.WorkRequest {
		wr := request(op, e.own.Span(bufs.offset(slot), size), far)
		if c.inline > 0 {
			wr = wr.With(transport.Inline)
		}
		return wr
	})
	if op == transport.OpWrite {
		p.first, p.last = e.landing.Uint64(0), e.landing.Uint64(c.landing-wordBytes)
		p.poll = !e.device.Capabilities().Features.Has(transport.FeatureWatchMemory)
	} else if err := p.receive(bufs); err != nil {
		return nil, err
	}
	if s.leads() {
		return p.lead, nil
	}
	return p.echo, nil
}

// receive posts the receives that messages complete.
func (p *pingPongSide) receive(bufs slots) (err error) {
	if p.inbox != nil {
		p.received = bufs.all(p.inbox.Bytes(), bufs.count)
	} else {
		p.received = slices.Repeat([][]byte{p.landing.Bytes()[p.landing.Len()-bufs.size:]}, bufs.count)
	}
	p.in, err = newReceiver(p.end, bufs.count, func(slot int) transport.WorkRequest {
		var span transport.Span
		if p.inbox != nil {
			span = p.inbox.Span(bufs.offset(slot), bufs.size)
		}
		return transport.Recv(uint64(slot), span)
	})
	return err
}

func (p *pingPongSide) lead(ctx context.Context, n int, out *samples) error {
	watch := startStopwatch(out)
	for i := range n {
		p.round++
		if err := p.put(ctx); err != nil {
			return err
		}
		watch.record()
		if err := p.pace.ended(ctx, i); err != nil {
			return err
		}
		if err := p.tidy(); err != nil {
			return err
		}
		if err := p.await(ctx); err != nil {
			return err
		}
		watch.lap()
	}
	watch.record()
	return nil
}

func (p *pingPongSide) echo(ctx context.Context, n int, _ *samples) error {
	for range n {
		p.round++
		if err := p.await(ctx); err != nil {
			return err
		}
		if err := p.put(ctx); err != nil {
			return err
		}
		if err := p.tidy(); err != nil {
			return err
		}
	}
	return nil
}

// put sends the message of this round.
func (p *pingPongSide) put(ctx context.Context) error {
	slot, err := p.out.slot(ctx)
	if err != nil {
		return err
	}
	stamp(p.sent[slot], byte(p.round))
	return p.out.post(slot)
}

// tidy does what can be done while a message is under way.
func (p *pingPongSide) tidy() error {
	if p.in != nil {
		if err := p.in.restock(); err != nil {
			return err
		}
	}
	return p.out.reap()
}

// await waits for the message of this round. Where memory is watched it spins until
// the last byte is there, and loads the first one, too, which may land later.
func (p *pingPongSide) await(ctx context.Context) error {
	if p.in != nil {
		return p.take(ctx)
	}
	last, round := p.last, byte(p.round)
	for looks := 1; lastByte(last.Load()) != round; looks++ {
		if p.poll {
			if _, err := p.receives.Poll(p.out.completions); err != nil {
				return err
			}
		}
		if looks%looksPerCheck == 0 {
			if err := p.check(ctx); err != nil {
				return err
			}
		}
	}
	p.first.Load()
	return nil
}

// take waits for a completion and looks at the message.
func (p *pingPongSide) take(ctx context.Context) error {
	c, err := p.in.next(ctx)
	if err != nil {
		return err
	}
	if m := p.received[c.ID]; !stamped(m, byte(p.round)) {
		return fmt.Errorf("message %d arrived damaged: its ends are %#x and %#x instead of %#x",
			p.round, m[0], m[len(m)-1], byte(p.round))
	}
	return nil
}

// lastByte is the byte of a word at the highest address; the project runs on
// little-endian machines only.
func lastByte(word uint64) byte { return byte(word >> (8 * (wordBytes - 1))) }

// looksPerCheck is how often a loop looks at memory before it looks whether
// there is any hope: a few microseconds.
const looksPerCheck = 4096

// check looks whether waiting still makes sense.
func (p *pingPongSide) check(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err := p.conn.Err()
	if errors.Is(err, transport.ErrPeerClosed) {
		return fmt.Errorf("%w before it had answered", err)
	}
	return err
}
