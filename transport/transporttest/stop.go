package transporttest

import (
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
	for range p.rounds(3) {
		w, l := p.startWitness(), p.connect(shape{sendDepth: 16, recvDepth: 16})
		continued := l.witness(1000)
		p.dally(3 * time.Millisecond)
		p.stopPeer(func() {
			time.Sleep(4 * look)
			p.connectEnds(p.a, p.a, shape{}).expectWorking("a new connection while a peer is stopped")
			w.expectUntouched()
			if err := l.a.err(); err != nil {
				l.a.fatalf("the peer was stopped for a moment; Conn.Err: %v", err)
			}
		})
		continued.expectUntouched()
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
	l.b.expectEnd(transport.ErrPeerClosed)
}

// closeRegionOfStopped stops the peer while it writes a region, closes that, and
// makes another. When the peer continues, none of its writes reaches the new one.
func closeRegionOfStopped(p *pair) {
	for range p.rounds(10) {
		p.connect(shape{sendDepth: fireDepth}).reversed().closeUnderFire(2*time.Millisecond, p.stopPeer)
	}
}
