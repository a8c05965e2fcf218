package transporttest

import (
	"errors"
	"syscall"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

var stopTests = []test{
	{"stop/a stopped peer delays no other connection, and works again when continued", needs{ops: transport.Ops(transport.OpSend), twoProcesses: true}, stopped},
	{"stop/closing towards a stopped peer", needs{ops: transport.Ops(transport.OpSend), twoProcesses: true}, closeTowardsStopped},
	{"stop/closing a region that a stopped peer was writing", needs{ops: transport.Ops(transport.OpWrite), twoProcesses: true}, closeRegionOfStopped},
}

// stopped stops the peer in the middle of a stream with SIGSTOP, and continues
// it.
func stopped(p *pair) {
	const size = 1000
	for range p.rounds(3) {
		w := p.startWitness()
		l := p.connect(shape{sendDepth: 16, recvDepth: 16})
		stop := newStopSign.must(p.a, false)
		messages := l.b.consume(size, 0, 0)
		stream := l.a.stream(transport.OpSend, transport.RemoteSpan{}, size, 0, stop)
		p.dally(3 * time.Millisecond)
		p.stopPeer(func() {
			time.Sleep(4 * look)
			p.connectEnds(p.a, p.a, shape{}).expectWorking("a new connection while a peer is stopped")
			w.expectUntouched()
			if err := l.a.err(); err != nil {
				l.a.fatalf("the peer was stopped for a moment; Conn.Err: %v", err)
			}
		})
		raiseStopSign.must(p.a, stop)
		sent := stream.must()
		if sent.Flushed > 0 || sent.OK == 0 {
			l.a.fatalf("after the peer was continued, the stream ended, after %d messages, with: %v", sent.OK, sent.Failure.Err())
		}
		l.a.close()
		if got := messages.must(); got.OK != sent.OK {
			l.b.fatalf("%d messages were sent, %d arrived", sent.OK, got.OK)
		}
		l.b.awaitEnd()
		l.b.close()
	}
}

// stopPeer stops the peer process while something is done, and continues it.
func (p *pair) stopPeer(during func()) {
	p.Helper()
	if err := p.b.process.signal(syscall.SIGSTOP); err != nil {
		p.Fatal(err)
	}
	defer p.b.process.signal(syscall.SIGCONT)
	during()
}

// closeTowardsStopped closes a connection whose peer is stopped; the flush and
// Close itself must not wait for it.
func closeTowardsStopped(p *pair) {
	l := p.connect(shape{})
	waiting := emptySends(1, 10)
	p.stopPeer(func() {
		l.a.post(waiting...)
		began := time.Now()
		l.a.close()
		l.a.expectSent(flushed(waiting...)...)
		p.Logf("closed towards a stopped peer in %v", time.Since(began))
	})
	if err := l.b.awaitEnd(); !errors.Is(err, transport.ErrPeerClosed) {
		l.b.fatalf("the peer closed while this end was stopped; Conn.Err: %v", err)
	}
}

// closeRegionOfStopped stops the peer while it writes a region, closes that, and
// makes another. When the peer continues, none of its writes reaches the new one.
func closeRegionOfStopped(p *pair) {
	const size = 4096
	for range p.rounds(10) {
		l := p.connect(shape{sendDepth: 16})
		target, before := l.a.alloc(17*size, transport.RemoteWrite), p.pattern()
		stream := l.b.stream(transport.OpWrite, target.whole, size, 0, 0)
		p.dally(2 * time.Millisecond)
		var successor region
		p.stopPeer(func() {
			target.close()
			successor = l.a.alloc(17*size, transport.RemoteWrite)
			successor.fill(0, successor.size, before)
		})
		if r := stream.must(); r.Failure.Status != transport.StatusRemoteAccess {
			l.b.fatalf("the stream of writes to a region that was closed meanwhile ended, after %d, with: %v", r.OK, r.Failure.Err())
		}
		l.a.awaitEnd()
		successor.expect("the region made after one was closed that a stopped peer was writing", 0, successor.size, before)
		successor.close()
		l.close()
	}
}
