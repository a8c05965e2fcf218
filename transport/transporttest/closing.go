package transporttest

import (
	"errors"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

var closingTests = []test{
	{"close/what completed at the closer is delivered, the rest is flushed", needs{ops: transport.Ops(transport.OpSend)}, closeInOrder},
	{"close/Close flushes what is outstanding and refuses what comes later", needs{ops: transport.Ops(transport.OpSend)}, closeFlushes},
	{"close/in the middle of a stream", needs{ops: transport.Ops(transport.OpSend)}, closeInStream},
	{"close/a region while a peer writes it at full speed", needs{ops: transport.Ops(transport.OpWrite)}, closeRegionUnderFire},
	{"close/memory is quiet when a registered region was closed under fire", needs{ops: transport.Ops(transport.OpWrite), features: transport.FeatureRegister}, registeredUnderFire},
}

// closeInOrder closes one side while the other is away.
func closeInOrder(p *pair) {
	for _, reverse := range []bool{false, true} {
		l := p.connect(shape{})
		if reverse {
			l = l.reversed()
		}
		const sent, posted, size = 10, 30, 32
		from, into, to := l.a.alloc(size, transport.LocalOnly), l.b.alloc(posted*size, transport.LocalOnly), l.b.alloc(size, transport.RemoteWrite)
		payload := p.pattern()
		from.fill(0, size, payload)
		receives := ids(0, posted, func(id uint64) request { return recv(id, into.at(int(id)*size, size)) })
		l.b.postRecv(receives...)
		waiting := send(50, place{})
		l.b.post(waiting) // a has no receive for it
		if l.a.caps.Ops.Has(transport.OpWrite) {
			l.a.do(write(1, from.all(), to.remote(0, size)))
		} else {
			to.fill(0, size, payload)
		}
		l.a.do(ids(2, sent, func(id uint64) request { return send(id, from.all()) })...)
		l.a.close()

		if err := l.b.awaitEnd(); !errors.Is(err, transport.ErrPeerClosed) {
			l.b.fatalf("the peer closed in good order; Conn.Err: %v", err)
		}
		for i := range sent {
			l.b.expectReceived(received(uint64(i), size))
			into.expect("a message before the peer's Close", i*size, size, payload)
		}
		l.b.expectReceived(flushed(receives[sent:]...)...)
		l.b.expectSent(flushed(waiting)...)
		to.expect("a write before the peer's Close", 0, size, payload)
		if err := l.a.err(); !errors.Is(err, transport.ErrClosed) {
			l.a.fatalf("after Close, Conn.Err: %v", err)
		}
		late := send(60, place{})
		l.b.post(late)
		l.b.expectSent(flushed(late)...)
		l.b.close()
		l.b.close()
	}
}

func closeFlushes(p *pair) {
	l := p.connect(shape{})
	sends := emptySends(1, 10)
	sends[4], sends[9] = sends[4].quiet(), sends[9].quiet()
	receives := emptyRecvs(20, 10)
	l.a.post(sends...)
	l.a.postRecv(receives...)
	l.a.close()
	l.a.close()
	if err := l.a.awaitEnd(); !errors.Is(err, transport.ErrClosed) {
		l.a.fatalf("after Close, Conn.Err: %v", err)
	}
	l.a.expectSent(flushed(sends...)...)
	l.a.expectReceived(flushed(receives...)...)
	if n, err := l.a.tryPost(sends[0]); n != 0 || !errors.Is(err, transport.ErrClosed) {
		l.a.fatalf("post after Close takes %d: %v", n, err)
	}
	if n, err := l.a.tryPostRecv(receives[0]); n != 0 || !errors.Is(err, transport.ErrClosed) {
		l.a.fatalf("post recv after Close takes %d: %v", n, err)
	}
	l.a.sent.expectNone("after the flush")
	l.a.received.expectNone("after the flush")
}

// closeInStream closes a connection, at either side, at a random moment of a
// stream of messages.
func closeInStream(p *pair) {
	const size = 64
	for round := range p.rounds(20) {
		l := p.connect(shape{sendDepth: 20, recvDepth: 20})
		messages := l.b.consume(size, 0, 0)
		stream := l.a.stream(transport.OpSend, transport.RemoteSpan{}, size, 0, 0)
		p.dally(2 * time.Millisecond)
		closer, other := l.a, l.b
		if round%2 == 1 {
			closer, other = l.b, l.a
		}
		closer.close()
		sent, got := stream.must(), messages.must()
		if err := other.awaitEnd(); !errors.Is(err, transport.ErrPeerClosed) {
			other.fatalf("round %d: the peer closed in good order; Conn.Err: %v", round, err)
		}
		// What completed was received, unless the receiver itself threw it away.
		if round%2 == 0 && got.OK < sent.OK {
			p.Fatalf("round %d: %d messages had completed at the sender when it closed, %d were received", round, sent.OK, got.OK)
		}
		if sent.Flushed > 0 && sent.Failure.Status != transport.StatusFlushed {
			p.Fatalf("round %d: the stream ended with %v", round, sent.Failure.Err())
		}
		l.close()
	}
}

// dally lets a random time pass, up to most, while the ends work.
func (p *pair) dally(most time.Duration) {
	time.Sleep(time.Duration(p.random.Int64N(int64(most))))
}

// closeRegionUnderFire closes regions that a peer is writing, and makes new ones
// in their place at once, which must not receive anything.
func closeRegionUnderFire(p *pair) {
	const size, depth = 4096, 16
	for round := range p.rounds(20) {
		l := p.connect(shape{sendDepth: depth})
		if round%2 == 1 {
			l = l.reversed()
		}
		target := l.b.streamMemory(size, transport.RemoteWrite)
		stream := l.a.stream(transport.OpWrite, target.whole, size, 0, 0)
		p.dally(time.Millisecond)
		target.close()
		successor, before := l.b.streamMemory(size, transport.RemoteWrite), p.pattern()
		successor.fill(0, successor.size, before)
		if r := stream.must(); r.Failure.Status != transport.StatusRemoteAccess {
			l.a.fatalf("round %d: the stream of writes to a region that was closed ended, after %d of %d, with: %v", round, r.OK, r.Posted, r.Failure.Err())
		}
		l.b.awaitEnd()
		successor.expect(fmt.Sprintf("round %d: the region made after one was closed under fire", round), 0, successor.size, before)
		successor.close()
		l.close()
	}
}
