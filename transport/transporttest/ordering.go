package transporttest

import (
	"fmt"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

var orderTests = []test{
	{"order/a fenced request sees what the Read before it brought", needs{ops: transport.Ops(transport.OpRead, transport.OpWrite)}, fenceAfterRead},
	{"order/a fenced request sees the result of the atomic before it", needs{ops: transport.Ops(transport.OpFetchAdd, transport.OpWrite)}, fenceAfterAtomic},
	{"order/a Read sees the Writes before it", needs{ops: transport.Ops(transport.OpRead, transport.OpWrite)}, readAfterWrite},
	{"order/an atomic sees the Writes before it", needs{ops: transport.Ops(transport.OpFetchAdd, transport.OpWrite)}, atomicAfterWrite},
	{"order/a later Write wins", needs{ops: transport.Ops(transport.OpWrite)}, writeAfterWrite},
	{"order/at its completion, all written before immediate data is there", needs{ops: transport.Ops(transport.OpWriteImm, transport.OpWrite)}, writesBeforeImm},
	{"order/messages arrive in the order of posting, under load", needs{}, streamsInOrder},
	{"order/all operations complete in the order of posting", needs{}, completionsInOrder},
}

// fenceAfterRead reads into a buffer and, in the same post, writes the buffer
// somewhere else.
func fenceAfterRead(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		for _, n := range []int{8, 4096, min(1<<20, p.maxBytes())} {
			buffer := l.a.alloc(n, transport.LocalOnly)
			source, target := l.b.alloc(n, transport.RemoteRead), l.b.alloc(n, transport.RemoteWrite)
			for range p.rounds(10) {
				payload := p.pattern()
				source.fill(0, n, payload)
				l.a.do(
					read(1, buffer.all(), source.remote(0, n)).quiet(),
					write(2, buffer.all(), target.remote(0, n)).with(transport.Fence))
				target.expect(fmt.Sprintf("%d bytes read, fenced, written", n), 0, n, payload)
			}
		}
	})
}

func fenceAfterAtomic(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		former, words := l.a.alloc(8, transport.LocalOnly), l.b.alloc(16, transport.RemoteAll)
		for i := range uint64(p.rounds(100)) {
			l.a.do(
				fetchAdd(1, former.all(), words.remote(0, 8), 3).quiet(),
				write(2, former.all(), words.remote(8, 8)).with(transport.Fence))
			if got := words.word(8); got != 3*i {
				l.b.fatalf("round %d: the fenced write brought %d, the fetch-add before it fetched %d", i, got, 3*i)
			}
		}
	})
}

func readAfterWrite(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		for _, n := range []int{8, 5000, min(1<<20, p.maxBytes())} {
			from, back := l.a.alloc(n, transport.LocalOnly), l.a.alloc(n, transport.LocalOnly)
			there := l.b.alloc(n, transport.RemoteAll)
			for range p.rounds(10) {
				payload := p.pattern()
				from.fill(0, n, payload)
				l.a.do(write(1, from.all(), there.remote(0, n)).quiet(), read(2, back.all(), there.remote(0, n)))
				back.expect(fmt.Sprintf("%d bytes written and read back in one post", n), 0, n, payload)
			}
		}
	})
}

func atomicAfterWrite(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		from, former, word := l.a.alloc(8, transport.LocalOnly), l.a.alloc(8, transport.LocalOnly), l.b.alloc(8, transport.RemoteAll)
		for range p.rounds(100) {
			value := p.random.Uint64()
			from.setWord(0, value)
			l.a.do(write(1, from.all(), word.remote(0, 8)).quiet(), fetchAdd(2, former.all(), word.remote(0, 8), 5))
			if got, now := former.word(0), word.word(0); got != value || now != value+5 {
				l.a.fatalf("after a write of %d, fetch-add 5 fetched %d and left %d", value, got, now)
			}
		}
	})
}

// writeAfterWrite writes several payloads to one place in one post.
func writeAfterWrite(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		const n, writes = 3000, 20
		from, to := l.a.alloc(n*writes, transport.LocalOnly), l.b.alloc(n, transport.RemoteWrite)
		for range p.rounds(20) {
			first := p.pattern()
			var requests []request
			for i := range writes {
				from.fill(i*n, n, first+pattern(i))
				r := write(uint64(i), from.at(i*n, n), to.remote(0, n))
				if i < writes-1 {
					r = r.quiet()
				}
				requests = append(requests, r)
			}
			l.a.do(requests...)
			to.expect("the last of many writes to one place", 0, n, first+writes-1)
		}
	})
}

// writesBeforeImm writes in pieces, large and small, and announces them with the
// immediate data of an empty write.
func writesBeforeImm(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		lengths := []int{1, 70000, 8, 4096, 3, 100}
		total := 0
		for _, n := range lengths {
			total += n
		}
		from, to := l.a.alloc(total, transport.LocalOnly), l.b.alloc(total, transport.RemoteWrite)
		for round := range p.rounds(30) {
			payload := p.pattern()
			from.fill(0, total, payload)
			l.b.postRecv(recv(1, place{}))
			var requests []request
			off := 0
			for i, n := range lengths {
				requests = append(requests, write(uint64(i), from.at(off, n), to.remote(off, n)).quiet())
				off += n
			}
			l.a.post(append(requests, writeImm(99, place{}, transport.RemoteSpan{}, uint32(round)).quiet())...)
			l.b.expectReceived(receivedImm(1, 0, uint32(round)))
			to.expect("what was written before immediate data", 0, total, payload)
			l.a.do(write(100, place{}, transport.RemoteSpan{})) // frees the places of the others
		}
	})
}

// streamsInOrder sends numbered messages as fast as it goes, in both directions
// at once.
func streamsInOrder(p *pair) {
	for _, op := range p.both(transport.OpSend, transport.OpWriteImm) {
		for _, bytes := range []int{8, 200, 10000} {
			n := p.rounds(3000)
			l := p.connect(shape{sendDepth: 30, recvDepth: 20})
			var ends []func()
			l.eachWay(func(l link) {
				written, into := l.b.alloc(31*bytes, transport.RemoteWrite), l.b.alloc(20*bytes, transport.LocalOnly)
				consumer := consumeMessages.start(l.b.end, consumeArgs{
					Loop: l.b.loopArgs(), Into: into.id, Bytes: bytes, Depth: 20, Count: n,
					Written: written.id, WrittenSlots: 31,
				})
				stream := l.a.stream(op, written.whole, bytes, n, 0)
				ends = append(ends, func() {
					if r := stream.must(); r.OK != n || r.Flushed > 0 {
						l.a.fatalf("of %d %vs, %d went well: %v", n, op, r.OK, r.Failure.Err())
					}
					if r := consumer.must(); r.OK != n {
						l.b.fatalf("of %d messages, %d arrived: %v", n, r.OK, r.Failure.Err())
					}
				})
			})
			for _, end := range ends {
				end()
			}
		}
	}
}

// completionsInOrder posts all operations mixed, short after long.
func completionsInOrder(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		long := min(1<<20, p.maxBytes())
		mem, back := l.a.alloc(long+64, transport.LocalOnly), l.a.alloc(long, transport.LocalOnly)
		there := l.b.alloc(long+64, transport.RemoteAll)
		for range p.rounds(5) {
			l.b.postRecv(ids(0, 4, func(id uint64) request { return recv(id, there.at(long, 64)) })...)
			all := []request{
				write(1, mem.at(0, long), there.remote(0, long)),
				send(2, mem.at(0, 8)),
				read(3, back.at(0, long), there.remote(0, long)),
				writeImm(4, mem.at(0, long), there.remote(0, long), 1),
				fetchAdd(5, mem.at(long, 8), there.remote(0, 8), 1),
				send(6, mem.at(0, 64)),
				read(7, back.at(0, 1), there.remote(0, 1)),
				compareSwap(8, mem.at(long+8, 8), there.remote(0, 8), 0, 1),
				writeImm(9, place{}, transport.RemoteSpan{}, 2),
				write(10, mem.at(0, 1), there.remote(0, 1)),
			}
			posted := slices.DeleteFunc(all, func(r request) bool { return !p.has(r.Op) })
			messages := 0
			for _, r := range posted {
				if r.Op == transport.OpSend || r.Op == transport.OpWriteImm {
					messages++
				}
			}
			l.a.do(posted...)
			for i, c := range l.b.received.collect(messages) {
				if c.ID != uint64(i) || c.Status != transport.StatusOK {
					l.b.fatalf("receive %d completes as: %+v", i, c)
				}
			}
			// The receives that were not needed are used up.
			for range 4 - messages {
				l.a.do(send(11, place{}))
				l.b.received.collect(1)
			}
		}
	})
}
