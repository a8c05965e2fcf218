package transporttest

import (
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// splits are the lengths of the first and the second span.
var splits = [][2]int{{0, 0}, {0, 1}, {1, 0}, {1, 1}, {3, 5}, {8, 64}, {64, 0}, {0, 64}, {63, 65}, {16, 4096}, {4095, 2}, {4096, 4096}, {5000, 70001}}

// moveTwoSpans gathers from two spans, scatters into two, and checks each byte
// and the guards around each piece.
func moveTwoSpans(p *pair) {
	s := shape{inline: p.maxInline()}
	p.connect(s).eachWay(func(l link) {
		size := 3*guardBytes + 5000 + 70001
		gather := pieces{l.a.alloc(size, transport.RemoteRead), l.a.alloc(size, transport.LocalOnly)}
		scatter := pieces{l.b.alloc(size, transport.RemoteWrite), l.b.alloc(size, transport.LocalOnly)}
		for _, split := range splits {
			first, second := split[0], split[1]
			n := first + second
			if n > p.maxBytes() || !p.picked() {
				continue
			}
			what := fmt.Sprintf("spans of %d and %d bytes", first, second)
			for _, flags := range []transport.Flags{0, transport.Inline} {
				if flags == transport.Inline && n > s.inline {
					continue
				}
				one, two := gather[0].at(guardBytes+1, first), gather[1].at(guardBytes+2, second)
				whole := scatter[0].remote(guardBytes+3, n)
				for _, op := range p.both(transport.OpWrite, transport.OpWriteImm) {
					payload := gather.fill(p, 1, 2, first, second)
					scatter.fill(p, 3, 0, n, 0)
					l.write(reach(op, 1, one, whole).and(two).with(flags))
					scatter.check(fmt.Sprintf("%v gathers %s", op, what), payload, 3, 0, n, 0)
				}
				if p.has(transport.OpSend) {
					for _, cut := range []int{0, 1, n / 2, n} {
						cut = min(cut, n)
						payload := gather.fill(p, 1, 2, first, second)
						scatter.fill(p, 4, 5, cut, n-cut)
						l.b.postRecv(recv(9, scatter[0].at(guardBytes+4, cut)).and(scatter[1].at(guardBytes+5, n-cut)))
						l.deliver([]request{send(1, one).and(two).with(flags)}, received(9, n))
						scatter.check(fmt.Sprintf("send gathers %s, receive scatters at %d", what, cut), payload, 4, 5, cut, n-cut)
					}
				}
			}
			if p.has(transport.OpRead) {
				payload := gather.fill(p, 7, 0, n, 0)
				scatter.fill(p, 1, 2, first, second)
				l.b.do(read(1, scatter[0].at(guardBytes+1, first), gather[0].remote(guardBytes+7, n)).and(scatter[1].at(guardBytes+2, second)))
				scatter.check("read scatters into "+what, payload, 1, 2, first, second)
			}
		}
	})
}

// pieces is two regions that hold the two parts of a payload, with guards.
type pieces [2]region

// guardPattern is around every piece of the test.
const guardPattern pattern = 0x6a7d

// fill puts guards everywhere but in the two parts, which get the payload that
// is returned.
func (f pieces) fill(p *pair, firstOff, secondOff, first, second int) pattern {
	payload := p.pattern()
	for _, args := range f.framed(payload, firstOff, secondOff, first, second) {
		fillFramed.must(f[0].end, args)
	}
	return payload
}

// check compares the two parts with the payload, and the guards.
func (f pieces) check(what string, payload pattern, firstOff, secondOff, first, second int) {
	for i, args := range f.framed(payload, firstOff, secondOff, first, second) {
		f[i].expectFramed(fmt.Sprintf("%s: part %d", what, i+1), args)
	}
}

func (f pieces) framed(payload pattern, firstOff, secondOff, first, second int) [2]framedArgs {
	return [2]framedArgs{
		{Frame: f[0].all(), Off: guardBytes + firstOff, Len: first, Guard: guardPattern, Payload: payload},
		{Frame: f[1].all(), Off: guardBytes + secondOff, Len: second, Guard: guardPattern, Payload: payload, From: first},
	}
}
