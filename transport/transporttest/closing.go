package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

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
	for round := range 2 {
		l := p.connect(shape{}).turned(round)
		const sent, posted, size = 10, 30, 32
		from, payload := l.a.filled(size, transport.LocalOnly)
		into, to := l.b.alloc(posted*size, transport.LocalOnly), l.b.alloc(size, transport.RemoteWrite)
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

		l.b.expectEnd(transport.ErrPeerClosed)
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
	l.a.expectEnd(transport.ErrClosed)
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
		messages := l.b.consume(size)
		stream := l.a.stream(transport.OpSend, transport.RemoteSpan{}, size, 0, 0)
		p.dally(2 * time.Millisecond)
		l.turned(round).a.close()
		sent, got := stream.must(), messages.must()
		l.turned(round).b.expectEnd(transport.ErrPeerClosed)
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

func closeRegionUnderFire(p *pair) {
	for round := range p.rounds(20) {
		p.connect(shape{sendDepth: fireDepth}).turned(round).closeUnderFire(time.Millisecond, func(close func()) { close() })
	}
}

const fireBytes, fireDepth = 4096, 16 // of the writes to a region that is closed meanwhile

// fire writes memory of side b until that end closes it, at a random moment.
func (l link) fire(target transport.RemoteSpan, most time.Duration, close func()) {
	stream := l.a.stream(transport.OpWrite, target, fireBytes, 0, 0)
	l.a.pair.dally(most)
	close()
	if r := stream.must(); r.Failure.Status != transport.StatusRemoteAccess {
		l.a.fatalf("the stream of writes to a region that was closed ended, after %d of %d, with: %v", r.OK, r.Posted, r.Failure.Err())
	}
}

// closeUnderFire closes a region of side b that side a writes, and makes a new one
// in its place at once, which must not receive anything.
func (l link) closeUnderFire(most time.Duration, during func(close func())) {
	target := l.b.streamMemory(fireBytes, transport.RemoteWrite)
	var successor region
	var before pattern
	l.fire(target.whole, most, func() {
		during(func() {
			target.close()
			successor, before = l.b.filled(target.size, transport.RemoteWrite)
		})
	})
	l.b.awaitEnd()
	successor.expect("the region made after one was closed under fire", 0, successor.size, before)
	successor.close()
	l.close()
}

type registerArgs struct {
	Domain handle
	Bytes  int
}

// mapAndRegister registers memory, which outlives its region.
var mapAndRegister = define("map and register", func(a *agent, args registerArgs) (allocReply, error) {
	mem := mapMemory(args.Bytes)
	r, err := get[*transport.ProtectionDomain](a, args.Domain).Register(mem, transport.RemoteAll)
	if err != nil {
		unix.Munmap(mem)
		return allocReply{}, err
	}
	return a.putRegion(r), nil
})

// closeAndWatch closes a registered region, checks that its memory does not
// change any more, and unmaps it.
var closeAndWatch = action("close region and watch", func(a *agent, h handle) {
	r := get[*transport.Region](a, h)
	mem := r.Bytes()
	check(r.Close())
	defer unix.Munmap(mem)
	before := bytes.Clone(mem)
	time.Sleep(look / 2)
	if !bytes.Equal(before, mem) {
		check(fmt.Errorf("%w: the memory of a region changed after Region.Close had returned", errUnexpected))
	}
})

// registeredUnderFire closes registered regions while a peer writes them, and
// looks at their memory afterwards.
func registeredUnderFire(p *pair) {
	for round := range p.rounds(10) {
		l := p.connect(shape{sendDepth: fireDepth}).turned(round)
		registered := mapAndRegister.must(l.b.end, registerArgs{l.b.domain, (fireDepth + 1) * fireBytes})
		l.fire(registered.Remote, time.Millisecond, func() { closeAndWatch.must(l.b.end, registered.Region) })
	}
}
