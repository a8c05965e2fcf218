package transporttest

import (
	"github.com/rfaas-go/rfaas/transport"
)

var passiveTests = []test{
	{"passive/one-sided operations need nothing of the target's program", needs{}, passiveTarget},
	{"passive/a program may watch its memory instead of polling", needs{ops: transport.Ops(transport.OpWrite), features: transport.FeatureWatchMemory}, watchMemory},
	{"passive/messages find posted receives while the receiver does not poll", needs{ops: transport.Ops(transport.OpSend)}, passiveReceiver},
	{"passive/a message that fails does so while the receiver does not poll", needs{ops: transport.Ops(transport.OpSend)}, passiveFailure},
}

// computeUntil keeps a processor busy without a look at the transport.
var computeUntil = define("compute", func(a *agent, sign handle) (uint64, error) {
	stop, x := get[*stopSign](a, sign), uint64(1)
	for !stop.raised() {
		for range 1000 {
			x = x*6364136223846793005 + 1442695040888963407
		}
	}
	return x, nil
})

// passiveTarget has the target's program compute, and never post or poll, while
// it is written, read and counted in.
func passiveTarget(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		const n = 5000
		local, target := l.a.alloc(n, transport.LocalOnly), l.b.alloc(n, transport.RemoteAll)
		stop := newStopSign.must(l.b.end, false)
		computing := computeUntil.start(l.b.end, stop)
		for range p.rounds(50) {
			for _, op := range p.both(transport.OpWrite, transport.OpRead) {
				l.a.do(reach(op, 1, local.all(), target.whole))
			}
			for _, op := range p.both(transport.OpFetchAdd, transport.OpCompareSwap) {
				l.a.do(reach(op, 1, local.at(0, 8), target.remote(0, 8)))
			}
		}
		raiseStopSign.must(l.b.end, stop)
		computing.must()
	})
}

type watchArgs struct {
	Flag    place
	Value   uint64
	Payload patternArgs
}

// watchFlag spins on a word until it has a value, and then checks what was
// written before.
var watchFlag = action("watch", func(a *agent, args watchArgs) {
	flag := a.wordAt(args.Flag)
	check(until(a.patience, "a value written by the peer", func() bool { return flag.Load() == args.Value }))
	check(args.Payload.Pattern.check(a.bytes(args.Payload.Place), args.Payload.From))
})

// watchMemory writes a payload, and then a flag that the peer spins on. When the
// peer sees the flag, the payload is there.
func watchMemory(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		const n = 70000
		from, to := l.a.alloc(n+8, transport.LocalOnly), l.b.alloc(n+8, transport.RemoteWrite)
		for round := range uint64(p.rounds(50)) {
			payload := p.pattern()
			from.setWord(0, round+1)
			from.fill(8, n, payload)
			watching := watchFlag.start(l.b.end, watchArgs{to.at(0, 8), round + 1, patternArgs{to.at(8, n), payload, 0}})
			l.a.do(write(1, from.at(8, n), to.remote(8, n)).quiet(), write(2, from.at(0, 8), to.remote(0, 8)))
			watching.must()
		}
	})
}

// passiveReceiver posts receives and leaves: as many messages complete as there
// are receives, and not one more, until there are more receives. What is posted
// behind a message that waits may take effect, but does not complete before it.
func passiveReceiver(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		const posted, size = 10, 100
		from, payload := l.a.filled(size, transport.LocalOnly)
		into, to := l.b.alloc((posted+2)*size, transport.LocalOnly), l.b.alloc(size, transport.RemoteWrite)
		receives := ids(0, posted+2, func(id uint64) request { return recv(id, into.at(int(id)*size, size)) })
		sends := ids(0, posted+1, func(id uint64) request { return send(id, from.all()) })
		behind := []request{send(100, from.all())}
		if l.a.caps.Ops.Has(transport.OpWrite) {
			behind = append(behind, write(101, from.all(), to.remote(0, size)))
		}
		l.b.postRecv(receives[:posted]...)
		l.a.post(append(sends, behind...)...)
		l.a.expectSent(done(sends[:posted]...)...)

		l.a.sent.expectNoneFor(look, "a message without a receive, and what is posted behind it")

		l.b.postRecv(receives[posted:]...) // b still does not poll
		l.a.expectSent(done(append(sends[posted:], behind...)...)...)
		for i := range receives {
			l.b.expectReceived(received(uint64(i), size))
			into.expect("a message that came while the receiver did not poll", i*size, size, payload)
		}
		if len(behind) > 1 {
			to.expect("a write behind messages", 0, size, payload)
		}
	})
}

// passiveFailure sends more than the receive has room for to an end that does
// not poll.
func passiveFailure(p *pair) {
	for round := range 2 {
		l := p.connect(shape{}).turned(round)
		from := l.a.alloc(1, transport.LocalOnly)
		receives := emptyRecvs(1, 2)
		l.b.postRecv(receives...)
		bad, behind := send(3, from.all()), send(4, place{})
		l.a.post(bad, behind)
		l.a.expectSent(ended(bad, transport.StatusRemoteInvalidRequest), flushed(behind)[0])
		l.b.awaitEnd()
		l.b.expectReceived(ended(receives[0], transport.StatusLocalLength), flushed(receives[1])[0])
	}
}
