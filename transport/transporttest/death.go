package transporttest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

var deathTests = []test{
	{"death/kill -9 while idle is noticed", needs{ops: transport.Ops(transport.OpSend), twoProcesses: true}, killedIdle},
	{"death/kill -9 while it is being written, read, counted in and sent to", needs{twoProcesses: true}, killedAsTarget},
	{"death/kill -9 while it writes, reads, counts and sends", needs{twoProcesses: true}, killedAsInitiator},
	{"death/kill -9 in the middle of everything", needs{ops: transport.Ops(transport.OpSend), twoProcesses: true}, killedInStorm},
	{"death/kill -9 with a sleeper waiting wakes it", needs{ops: transport.Ops(transport.OpSend), twoProcesses: true}, killedWakesSleeper},
	{"death/kill -9 during connection set-up", needs{twoProcesses: true}, killedDuringSetup},
	{"death/kill -9 of one peer among many connections", needs{ops: transport.Ops(transport.OpSend), twoProcesses: true}, killedAmongMany},
	{"death/a peer that exits without closing is gone", needs{twoProcesses: true}, exits},
}

// witness is a connection that is busy while something terrible happens, and must
// not suffer from it.
type witness struct {
	link
	stop   handle
	stream *future[streamResult]
	reader *future[consumeResult]
}

// startWitness makes a witness of a connection of end a with itself.
func (p *pair) startWitness() *witness {
	p.Helper()
	return p.connectEnds(p.a, p.a, shape{sendDepth: 8, recvDepth: 8}).witness(64)
}

// witness starts a stream of messages from side a to side b.
func (l link) witness(size int) *witness {
	stop := newStopSign.must(l.a.end, false)
	reader := l.b.consume(size)
	return &witness{l, stop, l.a.stream(transport.OpSend, transport.RemoteSpan{}, size, 0, stop), reader}
}

// expectUntouched ends the stream and checks that nothing happened to it.
func (w *witness) expectUntouched() {
	w.a.t.Helper()
	raiseStopSign.must(w.a.end, w.stop)
	r := w.stream.must()
	if r.Flushed > 0 || r.OK == 0 {
		w.a.fatalf("a connection that should go on ended, after %d messages, with: %v", r.OK, r.Failure.Err())
	}
	w.a.close()
	if got := w.reader.must(); got.OK != r.OK {
		w.a.fatalf("a connection that should go on sent %d messages and received %d", r.OK, got.OK)
	}
	w.b.awaitEnd()
	w.b.close()
}

// kill ends the peer process as kill -9 does.
func (p *pair) kill() {
	p.Helper()
	p.b.process.doomed = true
	if err := p.b.process.signal(syscall.SIGKILL); err != nil {
		p.Fatal(err)
	}
}

// expectGone waits for the side to notice that its peer is gone, and returns how
// long that took.
func (s side) expectGone() time.Duration {
	s.t.Helper()
	took := awaitConnEnd.must(s.end, s.conn.Conn)
	if err := s.err(); !errors.Is(err, transport.ErrPeerGone) && !(s.pair.cfg.RegionsFirst && saysRefused(err)) {
		s.fatalf("the peer was killed; Conn.Err: %v", err)
	}
	return took
}

// saysRefused reports whether a connection ended because the peer refused a request:
// that of a dying process, say, whose regions went first.
func saysRefused(err error) bool {
	return err != nil && (strings.Contains(err.Error(), transport.StatusRemoteAccess.String()) ||
		strings.Contains(err.Error(), transport.StatusRemoteOperation.String()))
}

// isGone reports whether a request may end like this when the peer is gone. The
// first one has exhausted its retries or was flushed, like all after it. With a
// device that answers for a dying process, that one's regions go before its
// connections.
func (p *pair) isGone(c transport.Completion) bool {
	return c.Status == transport.StatusRetryExceeded || c.Status == transport.StatusFlushed ||
		p.cfg.RegionsFirst && (c.Status == transport.StatusRemoteAccess || c.Status == transport.StatusRemoteOperation)
}

// killedIdle kills a peer with receives posted and messages waiting: one that
// accepted, one that dialed, and one that had been stopped before.
func killedIdle(p *pair) {
	for _, which := range []string{"that accepted", "that dialed", "that was stopped"} {
		l := p.connect(shape{})
		if which == "that dialed" {
			l = p.connectEnds(p.b, p.a, shape{}).reversed()
		}
		receives := emptyRecvs(1, 10)
		l.a.postRecv(receives...)
		waiting := emptySends(20, 3)
		l.a.post(waiting...)
		if which == "that was stopped" {
			p.stopPeer(p.kill)
		} else {
			p.kill()
		}
		p.Logf("a peer %s was killed while idle: noticed after %v", which, l.a.expectGone())
		l.a.expectReceived(flushed(receives...)...)
		sent := l.a.sent.collect(len(waiting))
		for i, c := range sent {
			if c.ID != waiting[i].ID || !p.isGone(c) || i > 0 && c.Status != transport.StatusFlushed {
				l.a.fatalf("messages that waited when the peer was killed complete as %+v", sent)
			}
		}
		late := send(50, place{})
		l.a.post(late)
		l.a.expectSent(flushed(late)...)
		l.a.close()
		p.restartPeer()
	}
}

// busyOps is the operations that a stream can consist of.
var busyOps = []transport.Op{transport.OpWrite, transport.OpSend, transport.OpRead, transport.OpFetchAdd, transport.OpWriteImm, transport.OpCompareSwap}

// startBusy starts a stream of requests from side a to side b, and what receives
// it, if anything does.
func (l link) startBusy(op transport.Op, size int) (*future[streamResult], *future[consumeResult]) {
	if op == transport.OpFetchAdd || op == transport.OpCompareSwap {
		size = 8
	}
	var receiving *future[consumeResult]
	if op == transport.OpSend || op == transport.OpWriteImm {
		receiving = l.b.consume(size)
	}
	target := l.b.streamMemory(size, transport.RemoteAll)
	return l.a.stream(op, target.whole, size, 0, 0), receiving
}

// killBusy kills the peer in the middle of streams, at random moments: for each
// operation, with sizes and moments that vary. A scene starts a stream on a
// connection, which either end dialed, and returns what to check afterwards.
func killBusy(p *pair, scene func(l link, op transport.Op, size int) func()) {
	ops, sizes := p.both(slices.Clone(busyOps)...), []int{16, 4096, 200000}
	for round := range max(len(ops), p.rounds(5*len(ops))) {
		op, size := ops[round%len(ops)], sizes[p.random.IntN(len(sizes))]
		w := p.startWitness()
		s := shape{sendDepth: 16, recvDepth: 16}
		l := p.connect(s)
		if p.random.IntN(2) == 0 {
			l = p.connectEnds(p.b, p.a, s).reversed()
		}
		check := scene(l, op, size)
		p.dally(5 * time.Millisecond)
		p.kill()
		p.Logf("killed during %v of %d bytes: noticed after %v", op, size, l.a.expectGone())
		check()
		w.expectUntouched()
		l.a.close()
		p.restartPeer()
	}
}

// killedAsTarget kills the peer in the middle of streams towards it.
func killedAsTarget(p *pair) {
	killBusy(p, func(l link, op transport.Op, size int) func() {
		stream, _ := l.startBusy(op, size)
		return func() {
			r := stream.must()
			if r.Flushed == 0 || !p.isGone(r.Failure) {
				l.a.fatalf("the stream of %v ended, after %d, with: %v", op, r.OK, r.Failure.Err())
			}
			p.Logf("after %d requests, the first failure was %q, then %d were flushed", r.OK, r.Failure.Status, r.Flushed-1)
		}
	})
}

// killedAsInitiator kills the peer in the middle of its own streams towards a.
// Memory of a that was out of its reach stays as it was.
func killedAsInitiator(p *pair) {
	killBusy(p, func(l link, op transport.Op, size int) func() {
		private, before := l.a.filled(10000, transport.LocalOnly)
		_, receiving := l.reversed().startBusy(op, size)
		receives := ids(1, 16, func(id uint64) request { return recv(id, private.at(0, 0)) })
		if receiving == nil {
			l.a.postRecv(receives...)
		}
		return func() {
			if receiving == nil {
				l.a.expectReceived(flushed(receives...)...)
			} else if r := receiving.must(); r.Flushed == 0 || r.Failure.Status != transport.StatusFlushed {
				l.a.fatalf("receives of %v ended, after %d, with: %v", op, r.OK, r.Failure.Err())
			}
			private.expect("memory that the killed peer could not reach", 0, private.size, before)
		}
	})
}

// killedInStorm kills the peer in the middle of all operations at once, in both
// directions on several connections.
func killedInStorm(p *pair) {
	for range p.rounds(10) {
		const conns, endless = 3, 1 << 30
		var links [conns]link
		var storms [conns]*future[stormResult]
		for i := range links {
			links[i] = p.connect(shape{sendDepth: 16, recvDepth: 16, inline: min(64, p.maxInline())})
			storms[i] = links[i].storm(endless, p.random.Uint64())
			links[i].reversed().storm(endless, p.random.Uint64())
		}
		p.dally(5 * time.Millisecond)
		p.kill()
		for i, l := range links {
			l.a.expectGone()
			if r := storms[i].must(); !p.isGone(r.Failure) {
				l.a.fatalf("after %d requests, the first failed with: %v", r.Posted, r.Failure.Err())
			}
			l.a.close()
		}
		p.restartPeer()
	}
}

func killedWakesSleeper(p *pair) {
	for _, solicited := range []bool{false, true} {
		l := p.connect(shape{})
		l.a.postRecv(recv(1, place{}))
		sleeping := l.a.received.sleep(1, solicited)
		time.Sleep(look / 2)
		p.kill()
		killed := time.Now()
		got, err := sleeping.wait()
		if err != nil || len(got) != 1 || got[0].Status != transport.StatusFlushed {
			l.a.fatalf("a sleeper whose peer was killed: %v, %v", got, err)
		}
		p.Logf("a sleeper was woken %v after its peer was killed", time.Since(killed))
		l.a.expectGone()
		l.a.close()
		p.restartPeer()
	}
}

// killedDuringSetup kills the peer while connections to and from it are being
// made. Those that came into being end; nothing is left of the others.
func killedDuringSetup(p *pair) {
	for round := range p.rounds(6) {
		const conns = 20
		s := shape{conns: conns, sendDepth: 4, recvDepth: 4}
		a, b := p.a.station(s), p.b.station(s)
		from, to := a, b
		if round%2 == 1 {
			from, to = b, a
		}
		l := listen.must(to.end, listenArgs{p.cfg.Network, p.address(p.cfg.Network, to.end)})
		accepting := accept.start(to.end, acceptArgs{l.Listener, to.spec()})
		dialing := dial.start(from.end, dialArgs{Address: l.Address, Spec: from.spec()})
		p.dally(5 * time.Millisecond)
		p.kill()
		var made []connInfo
		if round%2 == 1 {
			if _, err := dialing.wait(); err == nil {
				p.Logf("round %d: all connections were made before the kill", round)
			}
			closeObject.must(p.a, l.Listener) // ends an Accept that gets no answer
			made, _ = accepting.wait()
		} else {
			accepting.wait()
			made, _ = dialing.wait()
		}
		for _, c := range made {
			s := side{a, c}
			s.expectGone()
			s.close()
		}
		p.restartPeer()
	}
}

// killedAmongMany has end a keep many connections to the peer and to itself in
// one queue.
func killedAmongMany(p *pair) {
	conns := max(4, p.cfg.Connections/10)
	s := shape{conns: 2 * conns, sendDepth: 4, recvDepth: 4}
	a := p.a.station(s)
	half := a
	half.conns = conns
	lost := p.join(half, p.b.station(shape{conns: conns, sendDepth: 4, recvDepth: 4}))
	kept := p.join(half, p.a.station(shape{conns: conns, sendDepth: 4, recvDepth: 4}))
	for _, l := range lost {
		l.a.postRecv(recv(1, place{}))
		l.a.post(send(2, place{}))
	}
	p.kill()
	for _, l := range lost {
		l.a.expectGone()
	}
	for _, q := range []queue{a.sent, a.received} {
		seen := map[uint32]bool{}
		for _, c := range q.collect(conns) {
			if seen[c.Conn] || !p.isGone(c) {
				q.fatalf("connection %d to a killed peer, among %d: %+v", c.Conn, conns, c)
			}
			seen[c.Conn] = true
		}
	}
	for i, l := range kept {
		l.expectWorking(fmt.Sprintf("connection %d of %d that the kill should not touch", i+1, conns))
	}
}

var exitNow = action("exit", func(*agent, none) {
	os.Exit(0)
})

// exits has the peer exit, without closing.
func exits(p *pair) {
	l := p.connect(shape{})
	receives := emptyRecvs(1, 3)
	l.a.postRecv(receives...)
	p.b.process.doomed = true
	exitNow.start(p.b, false)
	l.a.expectGone()
	l.a.expectReceived(flushed(receives...)...)
	p.b.process.kill()
}
