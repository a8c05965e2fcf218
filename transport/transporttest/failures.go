package transporttest

import (
	"fmt"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

var failureTests = []test{
	{"failure/a receive that is too small", needs{ops: transport.Ops(transport.OpSend)}, receiveTooSmall},
	{"failure/a local region closed under a waiting Send", needs{ops: transport.Ops(transport.OpSend)}, sendFromClosedRegion},
	{"failure/a local region closed under a posted receive", needs{ops: transport.Ops(transport.OpSend)}, receiveIntoClosedRegion},
	{"failure/everything else is flushed in order, at both ends", needs{ops: transport.Ops(transport.OpSend)}, flushOrder},
}

// receiveTooSmall sends more than the receive has room for, in one span and in
// two, and checks that nothing is written behind the receive's memory.
func receiveTooSmall(p *pair) {
	eachWay(p, func(v *victim) {
		const room, size = 64, 200
		from, into := v.a.alloc(size, transport.LocalOnly), v.b.alloc(size, transport.LocalOnly)
		before := p.pattern()
		for what, receive := range map[string]request{
			"no memory":             recv(20, place{}),
			"one span":              recv(20, into.at(0, room)),
			"two spans":             recv(20, into.at(0, 10)).and(into.at(10, room-10)),
			"an empty and one span": recv(20, into.at(0, 0)).and(into.at(0, room)),
		} {
			has := receive.size()
			what = fmt.Sprintf("a message of %d bytes into %s", has+1, what)
			v.scene(what, func(l link) {
				into.fill(0, size, before)
				others := ids(21, 2, func(id uint64) request { return recv(id, into.at(0, room)) })
				l.b.postRecv(append([]request{receive}, others...)...)
				long, next := send(1, from.at(0, has+1)), send(2, place{}).quiet()
				l.a.post(long, next)
				l.expectBroken(what,
					[]want{ended(long, transport.StatusRemoteInvalidRequest), flushed(next)[0]}, nil,
					nil, append([]want{ended(receive, transport.StatusLocalLength)}, flushed(others...)...))
				into.expectFrom(has, "memory behind a receive that was too small: "+what, before)
			})
		}
	})
}

// sendFromClosedRegion closes the region of a Send that waits for a receive.
// Either the bytes had been taken before that, and arrive, or the Send fails.
func sendFromClosedRegion(p *pair) {
	eachWay(p, func(v *victim) {
		for _, size := range []int{8, 100000} {
			for _, second := range []bool{false, true} {
				v.scene("a send from a region closed while it waited", func(l link) { l.sendFromClosed(size, second) })
			}
		}
	})
}

func (l link) sendFromClosed(size int, second bool) {
	p := l.a.pair
	from, payload := l.a.filled(size, transport.LocalOnly)
	own, into := l.a.alloc(1, transport.LocalOnly), l.b.alloc(size+1, transport.LocalOnly)
	first, message, behind := send(1, place{}), send(2, from.all()), send(3, place{})
	if second {
		message = send(2, from.all()).and(own.all())
	}
	l.a.post(first, message, behind)
	from.close()
	receives := ids(20, 3, func(id uint64) request { return recv(id, into.all()) })
	l.b.postRecv(receives...)
	l.a.expectSent(done(first)...)
	l.b.expectReceived(received(20, 0))
	whole := []want{received(21, message.size()), received(22, 0)}
	switch c := l.a.sent.collect(1)[0]; {
	case c.ID == message.ID && p.cfg.means(c.Status, transport.StatusLocalProtection):
		// It may have arrived all the same, with what was behind it: when an
		// acknowledgement is lost, the region is missed as the message is sent again.
		arrived := 0
		for i, got := range l.b.received.collect(len(whole)) {
			expected := flushed(receives[1:]...)[i]
			if arrived == i && got.Status == transport.StatusOK {
				expected = whole[i]
				arrived++
			}
			if problem := expected.problem(got, l.b.conn.ID, &p.cfg); problem != "" {
				l.b.fatalf("a send from a region closed while it waited, of which %d arrived: %s", arrived, problem)
			}
		}
		if arrived > 0 {
			into.expect("a message from a region closed while it waited", 0, size, payload)
		}
		l.expectBroken("a send from a region closed while it waited", flushed(behind), nil, nil, nil)
	case c.ID == message.ID && c.Status == transport.StatusOK:
		p.Logf("a send of %d bytes was taken before its region was closed", size)
		l.a.expectSent(done(behind)...)
		l.b.expectReceived(whole...)
		into.expect("a message from a region closed while it waited", 0, size, payload)
	default:
		l.a.fatalf("a send of %d bytes from a region closed while it waited completes as %+v", size, c)
	}
	own.close()
	into.close()
}

// receiveIntoClosedRegion closes the region of a posted receive.
func receiveIntoClosedRegion(p *pair) {
	eachWay(p, func(v *victim) {
		const what = "a send into a receive whose region was closed"
		for _, second := range []bool{false, true} {
			v.scene(what, func(l link) {
				into, own := v.b.alloc(64, transport.LocalOnly), v.b.alloc(64, transport.LocalOnly)
				from := v.a.alloc(128, transport.LocalOnly)
				bad := recv(20, into.all())
				if second {
					bad = recv(20, own.all()).and(into.all())
				}
				others := ids(21, 2, func(id uint64) request { return recv(id, own.all()) })
				l.b.postRecv(append([]request{bad}, others...)...)
				into.close()
				message, behind := send(1, from.at(0, bad.size())), send(2, place{}).quiet()
				l.a.post(message, behind)
				l.expectBroken(what,
					[]want{ended(message, transport.StatusRemoteOperation), flushed(behind)[0]}, nil,
					nil, append([]want{ended(bad, transport.StatusLocalProtection)}, flushed(others...)...))
			})
		}
	})
}

// flushOrder has sends wait in both directions when a message that is too long
// breaks the connection.
func flushOrder(p *pair) {
	eachWay(p, func(v *victim) {
		const n, what = 20, "a message that is too long, with sends waiting both ways"
		v.scene(what, func(l link) {
			waiting := emptySends(100, n)
			for i := range waiting {
				if i%3 != 0 {
					waiting[i] = waiting[i].quiet()
				}
			}
			l.b.post(waiting...) // a posts no receives, so they wait
			receives := emptyRecvs(200, n)
			l.b.postRecv(receives...)
			good, bad := send(1, place{}), send(2, v.local.all())
			l.a.post(append([]request{good, bad}, waiting...)...)
			l.expectBroken(what,
				slices.Concat(done(good), []want{ended(bad, transport.StatusRemoteInvalidRequest)}, flushed(waiting...)), nil,
				flushed(waiting...), append([]want{received(200, 0), ended(receives[1], transport.StatusLocalLength)}, flushed(receives[2:]...)...))
		})
	})
}
