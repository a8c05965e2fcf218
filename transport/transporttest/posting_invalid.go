package transporttest

import (
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// invalidRequests posts what no provider may see. The requests before the
// invalid one are carried out, those after it are not, and the connection works
// on.
func invalidRequests(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		mem, to := l.a.alloc(64, transport.LocalOnly), l.b.alloc(64, transport.RemoteAll)
		const unknownFlag = 1 << 7
		cases := []struct {
			what    string
			op      transport.Op // that the device must have, for want to be right
			request request
			want    error
		}{
			{"a receive among sends", transport.OpInvalid, recv(2, mem.all()), transport.ErrInvalid},
			{"no operation", transport.OpInvalid, request{ID: 2}, transport.ErrInvalid},
			{"an operation that does not exist", transport.OpInvalid, request{ID: 2, Op: 200}, transport.ErrInvalid},
			{"an unknown flag", transport.OpSend, send(2, mem.all()).with(unknownFlag), transport.ErrInvalid},
			{"a write longer than the remote span", transport.OpWrite, write(2, mem.all(), to.remote(0, 63)), transport.ErrOutOfRange},
			{"two spans longer than the remote span", transport.OpWrite, write(2, mem.at(0, 32), to.remote(0, 63)).and(mem.at(32, 32)), transport.ErrOutOfRange},
			{"a read longer than the remote span", transport.OpRead, read(2, mem.all(), to.remote(0, 63)), transport.ErrOutOfRange},
			{"an inline read", transport.OpRead, read(2, mem.at(0, 1), to.remote(0, 1)).with(transport.Inline), transport.ErrInvalid},
			{"more inline than InlineBytes", transport.OpSend, send(2, mem.all()).with(transport.Inline), transport.ErrOutOfRange},
			{"an atomic with a result of 4 bytes", transport.OpFetchAdd, fetchAdd(2, mem.at(0, 4), to.remote(0, 8), 1), transport.ErrInvalid},
			{"an atomic on an odd address", transport.OpFetchAdd, fetchAdd(2, mem.at(0, 8), to.remote(4, 8), 1), transport.ErrInvalid},
			{"an atomic on 4 bytes", transport.OpCompareSwap, compareSwap(2, mem.at(0, 8), to.remote(0, 4), 1, 2), transport.ErrOutOfRange},
		}
		good := func(id uint64) request { return write(id, place{}, transport.RemoteSpan{}) }
		if !l.a.caps.Ops.Has(transport.OpWrite) {
			good = func(id uint64) request { return send(id, place{}) }
			l.b.postRecv(emptyRecvs(0, len(cases))...)
		}
		for _, c := range cases {
			if c.op != transport.OpInvalid && !l.a.caps.Ops.Has(c.op) {
				c.want = transport.ErrNotSupported
			}
			n, err := l.a.tryPost(good(1), c.request, good(3))
			if p.cfg.Faults == FaultsBenign && n == 0 && errors.Is(err, transport.ErrQueueFull) {
				continue // nothing to be seen behind an injected full queue
			}
			if n != 1 || !errors.Is(err, c.want) {
				l.a.fatalf("%s: post takes %d: %v; should take 1: %v", c.what, n, err, c.want)
			}
			l.a.expectSent(done(good(1))...)
		}
		for op := transport.OpSend; op <= transport.OpCompareSwap; op++ {
			if !l.a.caps.Ops.Has(op) {
				if _, err := l.a.tryPost(request{ID: 1, Op: op, Local: mem.at(0, 8), Remote: to.remote(0, 8)}); !errors.Is(err, transport.ErrNotSupported) {
					l.a.fatalf("%v, which is not among the capabilities: %v", op, err)
				}
			}
		}
		if n, err := l.b.tryPostRecv(send(1, place{})); n != 0 || !errors.Is(err, transport.ErrInvalid) {
			l.b.fatalf("post recv of a send takes %d: %v", n, err)
		}
		l.a.tooLong(p, to)
		l.a.sent.expectNone("after invalid requests")
		l.expectWorking(fmt.Sprintf("after %d invalid requests", len(cases)))
	})
}

// tooLong posts a message of more than MaxMessageBytes, where that is within
// reach.
func (s side) tooLong(p *pair, to region) {
	most := s.caps.MaxMessageBytes
	if most >= uint64(p.cfg.MaxBytes) {
		return
	}
	n := int(most) + 1
	from := s.alloc(n, transport.LocalOnly)
	long := transport.RemoteSpan{Addr: to.whole.Addr, Len: uint32(n), Key: to.whole.Key}
	for _, r := range []request{send(1, from.all()), write(1, from.all(), long), write(1, from.at(0, n-1), long).and(from.at(n-1, 1))} {
		if taken, err := s.tryPost(r); taken != 0 || !errors.Is(err, transport.ErrOutOfRange) && !errors.Is(err, transport.ErrNotSupported) {
			s.fatalf("a message of %d bytes, one more than MaxMessageBytes: post takes %d: %v", n, taken, err)
		}
	}
}
