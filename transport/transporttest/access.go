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

// reach is the operations that reach into a region, and the right they need.
var reach = []struct {
	op    transport.Op
	right transport.Access
	build func(id uint64, local place, remote transport.RemoteSpan) request
}{
	{transport.OpWrite, transport.RemoteWrite, write},
	{transport.OpWriteImm, transport.RemoteWrite, func(id uint64, local place, remote transport.RemoteSpan) request {
		return writeImm(id, local, remote, 1)
	}},
	{transport.OpRead, transport.RemoteRead, read},
	{transport.OpFetchAdd, transport.RemoteAtomic, func(id uint64, local place, remote transport.RemoteSpan) request {
		return fetchAdd(id, local, remote, 1)
	}},
	{transport.OpCompareSwap, transport.RemoteAtomic, func(id uint64, local place, remote transport.RemoteSpan) request {
		return compareSwap(id, local, remote, 0, 1)
	}},
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

// expectRefused makes a connection, posts the bad request on it with others
// behind it, and checks all that has to follow from a violation.
func (v *victim) expectRefused(what string, bad request) {
	v.p.Helper()
	l := v.p.join(v.a, v.b)[0]
	atA := ids(10, 2, func(id uint64) request { return recv(id, place{}) })
	atB := ids(20, 3, func(id uint64) request { return recv(id, place{}) })
	l.a.postRecv(atA...)
	l.b.postRecv(atB...)
	behind := []request{
		{ID: 31, Op: transport.OpSend},
		{ID: 32, Op: transport.OpSend, Flags: transport.Signaled},
		{ID: 33, Op: transport.OpSend},
	}
	if !l.a.caps.Ops.Has(transport.OpSend) {
		for i := range behind {
			behind[i].Op = transport.OpWrite
		}
	}
	l.a.post(append([]request{bad}, behind...)...)
	l.expectBroken(what, append([]want{ended(bad, transport.StatusRemoteAccess)}, flushed(behind...)...), flushed(atA...), nil, flushed(atB...))
	v.neighbour.expectWorking("a neighbour of a connection with this violation: " + what)
	l.a.close()
	l.b.close()
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
		late := []request{send(51, place{}).quiet(), send(52, place{})}
		if !s.caps.Ops.Has(transport.OpSend) {
			late = []request{write(51, place{}, transport.RemoteSpan{}).quiet(), write(52, place{}, transport.RemoteSpan{})}
		}
		s.post(late...)
		s.expectSent(flushed(late...)...)
		if s.shared == 0 {
			s.postRecv(recv(53, place{}))
			s.expectReceived(flushed(recv(53, place{}))...)
		}
		s.side.sent.expectNone("after everything on a connection in error was flushed")
		s.side.received.expectNone("after everything on a connection in error was flushed")
	}
}

// outOfBounds tries every operation at addresses around and far from regions,
// and with keys that are none.
func outOfBounds(p *pair) {
	eachWay(p, func(v *victim) {
		before := pattern(p.random.Uint64())
		other := v.b.alloc(4096, transport.RemoteAll)
		for _, size := range []int{104, 3 * 4096} { // with memory of the page behind the end, and without
			target := v.b.alloc(size, transport.RemoteAll)
			target.fill(0, size, before)
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
			for _, r := range reach {
				if !v.a.caps.Ops.Has(r.op) || !v.b.caps.Ops.Has(r.op) {
					continue
				}
				for _, s := range spans {
					if r.right == transport.RemoteAtomic && s.span.Addr%8 != 0 {
						continue // the front refuses it
					}
					if !p.picked() {
						continue
					}
					v.expectRefused(fmt.Sprintf("%v of a region of %d bytes, %s", r.op, size, s.what), r.build(1, v.local.all(), s.span))
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
			for _, r := range reach {
				if !v.a.caps.Ops.Has(r.op) || !v.b.caps.Ops.Has(r.op) || !p.picked() {
					continue
				}
				bad := r.build(1, v.local.all(), target.remote(8, reachBytes))
				if access&r.right == 0 {
					v.expectRefused(fmt.Sprintf("%v of a region with access %03b", r.op, access), bad)
					continue
				}
				if r.op == transport.OpWriteImm {
					v.neighbour.b.postRecv(recv(1, place{}))
				}
				v.neighbour.a.do(bad)
				if r.op == transport.OpWriteImm {
					v.neighbour.b.expectReceived(receivedImm(1, reachBytes, 1))
				}
			}
		}
	})
}

func otherDomain(p *pair) {
	eachWay(p, func(v *victim) {
		before := pattern(p.random.Uint64())
		target := v.b.end.alloc(v.b.end.domain(), 64, transport.RemoteAll)
		target.fill(0, 64, before)
		for _, r := range reach {
			if v.a.caps.Ops.Has(r.op) && v.b.caps.Ops.Has(r.op) {
				v.expectRefused(fmt.Sprintf("%v of a region of another domain", r.op), r.build(1, v.local.all(), target.remote(0, reachBytes)))
			}
		}
		target.expect("a region of another domain", 0, 64, before)
	})
}

// staleKey uses a region, closes it, and has new ones take its place.
func staleKey(p *pair) {
	eachWay(p, func(v *victim) {
		const size = 4096
		before := pattern(p.random.Uint64())
		for _, r := range reach {
			if !v.a.caps.Ops.Has(r.op) || !v.b.caps.Ops.Has(r.op) {
				continue
			}
			target := v.b.alloc(size, transport.RemoteAll)
			request := r.build(1, v.local.all(), target.remote(0, reachBytes))
			used := v.p.join(v.a, v.b)[0]
			if r.op != transport.OpWriteImm {
				used.a.do(request)
			}
			target.close()
			var successors []region
			for range 5 {
				n := v.b.alloc(size, transport.RemoteAll)
				n.fill(0, size, before)
				successors = append(successors, n)
			}
			v.expectRefused(fmt.Sprintf("%v of a closed region", r.op), request)
			receive := recv(20, place{}) // else a device may ask to wait for one before it looks at the key
			used.b.postRecv(receive)
			used.a.post(request)
			used.a.expectSent(ended(request, transport.StatusRemoteAccess))
			used.b.expectReceived(flushed(receive)...)
			for _, n := range successors {
				n.expect(fmt.Sprintf("a region made after one was closed, after a %v with the old key", r.op), 0, size, before)
				n.close()
			}
			used.a.close()
			used.b.close()
		}
	})
}

// closedWhileWaiting has requests wait behind a Send that finds no receive while
// the region they name is closed. Either the request took effect before that, or
// it is refused.
func closedWhileWaiting(p *pair) {
	eachWay(p, func(v *victim) {
		for _, r := range reach {
			if !v.a.caps.Ops.Has(r.op) || !v.b.caps.Ops.Has(r.op) {
				continue
			}
			l := p.join(v.a, v.b)[0]
			target := v.b.alloc(64, transport.RemoteAll)
			waiting, late := send(1, place{}), r.build(2, v.local.all(), target.remote(0, reachBytes))
			behind := send(3, place{}).quiet()
			l.a.post(waiting, late, behind)
			l.a.sent.expectNone("nothing has a receive yet")
			target.close()
			receives := ids(20, 4, func(id uint64) request { return recv(id, place{}) })
			l.b.postRecv(receives...)
			l.a.expectSent(done(waiting))
			l.b.expectReceived(received(20, 0))
			c := l.a.sent.collect(1)[0]
			switch {
			case c.ID != late.ID || c.Status != transport.StatusRemoteAccess && c.Status != transport.StatusOK:
				l.a.fatalf("%v of a region closed while it waited completes as %+v", r.op, c)
			case c.Status == transport.StatusRemoteAccess:
				l.expectBroken(fmt.Sprintf("%v of a region closed while it waited", r.op),
					flushed(behind), nil, nil, flushed(receives[1:]...))
				l.a.close()
				l.b.close()
			default:
				p.Logf("%v took effect before its region was closed", r.op)
				taken := []want{received(21, 0)}
				if r.op == transport.OpWriteImm {
					taken = []want{receivedImm(21, reachBytes, 1), received(22, 0)}
				}
				l.b.expectReceived(taken...)
				l.a.close()
				l.b.close()
				l.b.expectReceived(flushed(receives[1+len(taken):]...)...)
			}
			v.neighbour.expectWorking("a neighbour")
		}
	})
}

func unsignaledViolation(p *pair) {
	eachWay(p, func(v *victim) {
		target := v.b.alloc(64, transport.LocalOnly)
		v.expectRefused("an unsignaled write", write(1, v.local.all(), target.remote(0, reachBytes)).quiet())
	})
}
