package transporttest

import (
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

var scribbleAfterPost = define("post inline and scribble", func(a *agent, args postArgs) (int, error) {
	n, err := a.post(args, get[*transport.Conn](a, args.Conn).Post)
	for _, r := range args.Requests {
		clear(a.bytes(r.Local))
	}
	return n, err
})

// inlineIsCopied overwrites the source of inline requests right after Post, and
// closes its region, while the requests are held up behind a Send that finds no
// receive.
func inlineIsCopied(p *pair) {
	n := p.maxInline()
	p.connect(shape{inline: n}).eachWay(func(l link) {
		from, payload := l.a.filled(n, transport.LocalOnly)
		to, empty := l.b.alloc(n, transport.RemoteWrite), l.b.alloc(1, transport.LocalOnly)
		blocker, inline := send(1, place{}), write(2, from.all(), to.remote(0, n)).with(transport.Inline)
		if _, err := scribbleAfterPost.on(l.a.end, postArgs{Conn: l.a.conn.Conn, Requests: []request{inline}}); err != nil {
			l.a.fatalf("post inline: %v", err)
		}
		l.a.expectSent(done(inline)...)
		to.expect("inline write, source overwritten after Post", 0, n, payload)

		from.fill(0, n, payload+1)
		l.a.post(blocker, inline)
		from.close()
		l.b.postRecv(recv(3, empty.all()))
		l.b.expectReceived(received(3, 0))
		l.a.expectSent(done(blocker, inline)...)
		to.expect("inline write, source closed after Post", 0, n, payload+1)
	})
}

// moveNothing has requests of zero bytes complete, whatever address and key they
// name, and leave everything as it was.
func moveNothing(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		const n = 64
		nowhere := transport.RemoteSpan{Addr: 0xdeadbeef, Key: 0x12345678}
		mem, before := l.b.filled(n, transport.RemoteAll)
		own, ownBefore := l.a.filled(n, transport.LocalOnly)
		for _, local := range []place{{}, own.at(5, 0), own.at(n, 0)} {
			if p.has(transport.OpWrite) {
				l.a.do(write(1, local, nowhere), write(2, local, transport.RemoteSpan{}), write(3, local, mem.remote(n, 0)))
			}
			if p.has(transport.OpRead) {
				l.a.do(read(4, local, nowhere), read(5, local, transport.RemoteSpan{}), read(6, local, mem.remote(n, 0)))
			}
			if p.has(transport.OpWriteImm) {
				l.b.postRecv(recv(7, mem.all()))
				l.deliver([]request{writeImm(8, local, nowhere, 9)}, receivedImm(7, 0, 9))
			}
			if p.has(transport.OpSend) {
				l.b.postRecv(recv(10, mem.all()), recv(11, place{}), recv(12, mem.at(n, 0)))
				l.deliver([]request{send(13, local), send(14, local), send(15, local)}, received(10, 0), received(11, 0), received(12, 0))
			}
		}
		mem.expect("the peer's memory after requests of zero bytes", 0, n, before)
		own.expect("local memory after requests of zero bytes", 0, n, ownBefore)
	})
}

// immediateData sends 32 bits along with writes, and checks that the receive's
// own memory is left alone.
func immediateData(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		const n = 48
		from, to := l.a.alloc(n, transport.LocalOnly), l.b.alloc(n, transport.RemoteWrite)
		untouched, before := l.b.filled(n, transport.LocalOnly)
		for i, imm := range []uint32{0, 1, 0x80000000, 0xffffffff, p.random.Uint32()} {
			payload := p.pattern()
			from.fill(0, n, payload)
			id := uint64(i) << 60
			l.b.postRecv(recv(id+1, untouched.all()))
			l.deliver([]request{writeImm(id, from.at(0, n-i), to.remote(0, n-i), imm)}, receivedImm(id+1, n-i, imm))
			to.expect(fmt.Sprintf("written with immediate data %#x", imm), 0, n-i, payload)
		}
		untouched.expect("memory of a receive that took immediate data", 0, n, before)
	})
}

// receiveSizes sends messages shorter than the receives, and checks that the
// rest of each receive is left alone.
func receiveSizes(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		const room = 200
		from, into := l.a.alloc(room, transport.LocalOnly), l.b.alloc(room, transport.LocalOnly)
		for _, n := range []int{0, 1, 63, 64, 65, 199, 200} {
			sent, before := p.pattern(), p.pattern()
			from.fill(0, room, sent)
			into.fill(0, room, before)
			l.b.postRecv(recv(uint64(n), into.all()))
			l.deliver([]request{send(1, from.at(0, n))}, received(uint64(n), n))
			into.expect(fmt.Sprintf("message of %d bytes", n), 0, n, sent)
			into.expectFrom(n, fmt.Sprintf("what lies behind a message of %d bytes", n), before)
		}
	})
}
