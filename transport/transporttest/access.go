package transporttest

import (
	"fmt"
	"math"

	"github.com/rfaas-go/rfaas/transport"
)

var accessTests = []test{
	{"access/nothing outside a region is within reach", needs{}, outOfBounds},
	{"access/each right by itself", needs{}, rights},
	{"access/a key of another protection domain is refused", needs{}, otherDomain},
	{"access/the key of a closed region is refused", needs{}, staleKey},
	{"access/a region closed while a request waits is out of reach", needs{ops: transport.Ops(transport.OpSend)}, closedWhileWaiting},
	{"access/an unsignaled violation completes", needs{ops: transport.Ops(transport.OpWrite)}, unsignaledViolation},
}

// rightOf is what the operations that reach into a region need.
var rightOf = map[transport.Op]transport.Access{
	transport.OpWrite: transport.RemoteWrite, transport.OpWriteImm: transport.RemoteWrite, transport.OpRead: transport.RemoteRead,
	transport.OpFetchAdd: transport.RemoteAtomic, transport.OpCompareSwap: transport.RemoteAtomic,
}

// reaching is the operations in rightOf that both ends have.
func (p *pair) reaching() []transport.Op {
	return p.both(transport.OpWrite, transport.OpWriteImm, transport.OpRead, transport.OpFetchAdd, transport.OpCompareSwap)
}

// reach makes a request that reaches into a region, with 1 for immediate data,
// addend and new value.
func reach(op transport.Op, id uint64, local place, remote transport.RemoteSpan) request {
	return request{ID: id, Op: op, Flags: transport.Signaled, Local: local, Remote: remote, Imm: 1, Addend: 1, Swap: 1}
}

// reachBytes is how much a request of the access tests moves: what an atomic
// needs.
const reachBytes = 8

// victim is a connection to be broken, a neighbour of it that shares its
// protection domains and queues and must not notice, and memory at a.
type victim struct {
	p         *pair
	a, b      station
	neighbour link
	local     region
}

func (p *pair) newVictim(a, b *end) *victim {
	s := shape{extraDepth: spareDepth}
	v := &victim{p: p, a: a.station(s), b: b.station(s)}
	v.neighbour = p.join(v.a, v.b)[0]
	v.local = v.a.alloc(reachBytes, transport.LocalOnly)
	return v
}

// eachWay runs a test with the victim's ends both ways round.
func eachWay(p *pair, test func(v *victim)) {
	test(p.newVictim(p.a, p.b))
	test(p.newVictim(p.b, p.a))
}

// scene runs a test on a new connection, which its neighbour must not notice.
func (v *victim) scene(what string, test func(l link)) {
	v.p.Helper()
	l := v.p.join(v.a, v.b)[0]
	test(l)
	v.neighbour.expectWorking("a neighbour of a connection with this: " + what)
	l.close()
}

// expectRefused posts the bad request on a connection with others behind it, and
// checks all that has to follow from a violation.
func (v *victim) expectRefused(what string, bad request) {
	v.p.Helper()
	v.scene(what, func(l link) {
		atA, atB := emptyRecvs(10, 2), emptyRecvs(20, 3)
		l.a.postRecv(atA...)
		l.b.postRecv(atB...)
		behind := []request{v.p.empty(31).quiet(), v.p.empty(32), v.p.empty(33).quiet()}
		l.a.post(append([]request{bad}, behind...)...)
		l.expectBroken(what, append([]want{ended(bad, transport.StatusRemoteAccess)}, flushed(behind...)...), flushed(atA...), nil, flushed(atB...))
	})
}

// expectBroken checks that both sides of a connection are in error, which
// completions there are, and that requests posted afterwards complete as flushed.
func (l link) expectBroken(what string, sentA, receivedA, sentB, receivedB []want) {
	l.a.t.Helper()
	defer func() {
		if l.a.t.Failed() {
			l.a.t.Log("this was about: " + what)
		}
	}()
	for _, s := range []struct {
		side
		sent, received []want
	}{{l.b, sentB, receivedB}, {l.a, sentA, receivedA}} {
		s.expectReceived(s.received...)
		s.expectSent(s.sent...)
		s.awaitEnd()
		late := []request{s.pair.empty(51).quiet(), s.pair.empty(52)}
		s.post(late...)
		s.expectSent(flushed(late...)...)
		if s.shared == 0 {
			s.postRecv(recv(53, place{}))
			s.expectReceived(flushed(recv(53, place{}))...)
		}
		s.expectNone("after everything on a connection in error was flushed")
	}
}

// outOfBounds tries every operation at addresses around and far from regions,
// and with keys that are none.
func outOfBounds(p *pair) {
	eachWay(p, func(v *victim) {
		other := v.b.alloc(4096, transport.RemoteAll)
		for _, size := range []int{104, 3 * 4096} { // with memory of the page behind the end, and without
			target, before := v.b.filled(size, transport.RemoteAll)
			at := func(addr uint64) transport.RemoteSpan {
				return transport.RemoteSpan{Addr: addr, Len: reachBytes, Key: target.whole.Key}
			}
			withKey := func(key transport.RKey) transport.RemoteSpan {
				return transport.RemoteSpan{Addr: target.whole.Addr, Len: reachBytes, Key: key}
			}
			start, end := target.whole.Addr, target.whole.Addr+uint64(size)
			spans := []struct {
				what string
				span transport.RemoteSpan
			}{
				{"before its start", at(start - reachBytes)},
				{"across its end", at(end - reachBytes + 1)},
				{"at its end", at(end)},
				{"far behind it", at(end + 1<<32)},
				{"at address 0", at(0)},
				{"across the end of the address space", at(math.MaxUint64 - reachBytes/2)},
				{"at the end of the address space", at(-reachBytes & math.MaxUint64)},
				{"with key 0", withKey(0)},
				{"with a key one off", withKey(target.whole.Key + 1)},
				{"with the key's bits reversed", withKey(^target.whole.Key)},
				{"with another region's key", withKey(other.whole.Key)},
			}
			for _, op := range p.reaching() {
				for _, s := range spans {
					if rightOf[op] == transport.RemoteAtomic && s.span.Addr%8 != 0 {
						continue // the front refuses it
					}
					if p.picked() {
						v.expectRefused(fmt.Sprintf("%v of a region of %d bytes, %s", op, size, s.what), reach(op, 1, v.local.all(), s.span))
					}
				}
			}
			target.expect("a region around which everything was tried", 0, size, before)
		}
	})
}

// rights checks that a region grants what it was made for and nothing else.
func rights(p *pair) {
	eachWay(p, func(v *victim) {
		for access := transport.LocalOnly; access <= transport.RemoteAll; access++ {
			target := v.b.alloc(64, access)
			for _, op := range p.reaching() {
				if !p.picked() {
					continue
				}
				switch r := reach(op, 1, v.local.all(), target.remote(8, reachBytes)); {
				case access&rightOf[op] == 0:
					v.expectRefused(fmt.Sprintf("%v of a region with access %03b", op, access), r)
				case op == transport.OpWriteImm:
					v.neighbour.write(r)
				default:
					v.neighbour.a.do(r)
				}
			}
		}
	})
}

func otherDomain(p *pair) {
	eachWay(p, func(v *victim) {
		before := p.pattern()
		target := v.b.end.alloc(v.b.end.domain(), 64, transport.RemoteAll)
		target.fill(0, 64, before)
		for _, op := range p.reaching() {
			v.expectRefused(fmt.Sprintf("%v of a region of another domain", op), reach(op, 1, v.local.all(), target.remote(0, reachBytes)))
		}
		target.expect("a region of another domain", 0, 64, before)
	})
}

// staleKey uses a region, closes it, and has new ones take its place.
func staleKey(p *pair) {
	eachWay(p, func(v *victim) {
		const size = 4096
		for _, op := range p.reaching() {
			target := v.b.alloc(size, transport.RemoteAll)
			request := reach(op, 1, v.local.all(), target.remote(0, reachBytes))
			used := p.join(v.a, v.b)[0]
			if op != transport.OpWriteImm {
				used.a.do(request)
			}
			target.close()
			successors := map[region]pattern{}
			for range 5 {
				r, content := v.b.filled(size, transport.RemoteAll)
				successors[r] = content
			}
			v.expectRefused(fmt.Sprintf("%v of a closed region", op), request)
			receive := recv(20, place{}) // else a device may ask to wait for one before it looks at the key
			used.b.postRecv(receive)
			used.a.post(request)
			used.a.expectSent(ended(request, transport.StatusRemoteAccess))
			used.b.expectReceived(flushed(receive)...)
			for r, content := range successors {
				r.expect(fmt.Sprintf("a region made after one was closed, after a %v with the old key", op), 0, size, content)
				r.close()
			}
			used.close()
		}
	})
}

// closedWhileWaiting has requests wait behind a Send that finds no receive while
// the region they name is closed. Either the request took effect before that, or
// it is refused.
func closedWhileWaiting(p *pair) {
	eachWay(p, func(v *victim) {
		for _, op := range p.reaching() {
			what := fmt.Sprintf("%v of a region closed while it waited", op)
			v.scene(what, func(l link) {
				target := v.b.alloc(64, transport.RemoteAll)
				waiting, late := send(1, place{}), reach(op, 2, v.local.all(), target.remote(0, reachBytes))
				behind := send(3, place{}).quiet()
				l.a.post(waiting, late, behind)
				l.a.sent.expectNone("nothing has a receive yet")
				target.close()
				receives := emptyRecvs(20, 4)
				l.b.postRecv(receives...)
				l.a.expectSent(done(waiting)...)
				l.b.expectReceived(received(20, 0))
				switch c := l.a.sent.collect(1)[0]; {
				case c.ID != late.ID || c.Status != transport.StatusRemoteAccess && c.Status != transport.StatusOK:
					l.a.fatalf("%s completes as %+v", what, c)
				case c.Status == transport.StatusRemoteAccess:
					l.expectBroken(what, flushed(behind), nil, nil, flushed(receives[1:]...))
				default:
					p.Logf("%v took effect before its region was closed", op)
					taken := []want{received(21, 0)}
					if op == transport.OpWriteImm {
						taken = []want{receivedImm(21, reachBytes, 1), received(22, 0)}
					}
					l.b.expectReceived(taken...)
					l.close()
					l.b.expectReceived(flushed(receives[1+len(taken):]...)...)
				}
			})
		}
	})
}

func unsignaledViolation(p *pair) {
	eachWay(p, func(v *victim) {
		target := v.b.alloc(64, transport.LocalOnly)
		v.expectRefused("an unsignaled write", write(1, v.local.all(), target.remote(0, reachBytes)).quiet())
	})
}
