package transporttest

import (
	"fmt"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

var payloadTests = []test{
	{"payload/every size and offset by Write", needs{ops: transport.Ops(transport.OpWrite)}, func(p *pair) { moveEverySize(p, transport.OpWrite, 0) }},
	{"payload/every size and offset by WriteImm", needs{ops: transport.Ops(transport.OpWriteImm)}, func(p *pair) { moveEverySize(p, transport.OpWriteImm, 0) }},
	{"payload/every size and offset by Read", needs{ops: transport.Ops(transport.OpRead)}, func(p *pair) { moveEverySize(p, transport.OpRead, 0) }},
	{"payload/every size and offset by Send", needs{ops: transport.Ops(transport.OpSend)}, func(p *pair) { moveEverySize(p, transport.OpSend, 0) }},
	{"payload/every size inline", needs{inline: true}, moveEverySizeInline},
	{"payload/two spans at either end", needs{}, moveTwoSpans},
	{"payload/inline memory is the caller's when Post returns", needs{ops: transport.Ops(transport.OpWrite), inline: true}, inlineIsCopied},
	{"payload/zero bytes need neither memory nor key", needs{}, moveNothing},
	{"payload/immediate data arrives as it was sent", needs{ops: transport.Ops(transport.OpWriteImm)}, immediateData},
	{"payload/receives tell what they took", needs{ops: transport.Ops(transport.OpSend)}, receiveSizes},
}

// boundaries are the sizes around which moving code goes wrong: words, vector
// registers, cache lines, pages, packets, the steps of copy loops.
var boundaries = []int{0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 127, 128, 129,
	255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097, 65535, 65536, 65537,
	1<<20 - 1, 1 << 20, 1<<20 + 1}

// sizes is the boundaries up to most, most itself, and what is around the
// longest inline payload.
func sizes(most, inline int) []int {
	all := append(slices.Clone(boundaries), inline-1, inline, inline+1, most-1, most)
	all = slices.DeleteFunc(all, func(n int) bool { return n < 0 || n > most })
	slices.Sort(all)
	return slices.Compact(all)
}

const (
	guardBytes = 64
	// Longer payloads than this are moved at one pair of offsets only.
	longPayload = 128 << 10
)

// offsets are where payloads begin, after the guard: at the source and at the
// destination.
var offsets = [][2]int{{0, 0}, {1, 0}, {0, 3}, {7, 5}, {63, 62}}

// move moves n bytes from a region of side a to one of side b, and returns when
// they are there.
func (l link) move(op transport.Op, flags transport.Flags, from, to region, fromOff, toOff, n int) {
	switch op {
	case transport.OpWrite, transport.OpWriteImm:
		l.write(reach(op, 1, from.at(fromOff, n), to.remote(toOff, n)).with(flags))
	case transport.OpRead:
		l.b.do(read(1, to.at(toOff, n), from.remote(fromOff, n)))
	case transport.OpSend:
		l.b.postRecv(recv(2, to.at(toOff, n)))
		l.deliver([]request{send(1, from.at(fromOff, n)).with(flags)}, received(2, n))
	}
}

// moveEverySize moves payloads of each size between odd places and checks every
// byte that was to change and those around it.
func moveEverySize(p *pair, op transport.Op, flags transport.Flags) {
	var s shape
	most := p.maxBytes()
	if flags == transport.Inline {
		s.inline = p.maxInline()
		most = min(most, s.inline)
	}
	p.connect(s).eachWay(func(l link) {
		for _, n := range sizes(most, int(l.a.caps.MaxInlineBytes)) {
			if !p.picked() {
				continue
			}
			size := n + 3*guardBytes
			from, to := l.a.alloc(size, transport.RemoteRead), l.b.alloc(size, transport.RemoteWrite)
			for _, off := range offsets {
				payload := p.pattern()
				what := fmt.Sprintf("%d bytes from +%d to +%d", n, off[0], off[1])
				source := framedArgs{Frame: from.all(), Off: guardBytes + off[0], Len: n, Guard: payload + 1, Payload: payload}
				target := framedArgs{Frame: to.all(), Off: guardBytes + off[1], Len: n, Guard: payload + 2, Payload: payload + 3}
				fillFramed.must(from.end, source)
				fillFramed.must(to.end, target)
				l.move(op, flags, from, to, source.Off, target.Off, n)
				target.Payload = payload
				to.expectFramed(what+": destination", target)
				from.expectFramed(what+": source", source)
				if n > longPayload {
					break
				}
			}
			from.close()
			to.close()
		}
	})
}

// expectFramed checks the region, a payload and what is around it.
func (r region) expectFramed(what string, args framedArgs) {
	r.t.Helper()
	if _, err := checkFramed.on(r.end, args); err != nil {
		r.fatalf("%s: %v", what, err)
	}
}

// maxInline is the longest inline payload to be tested.
func (p *pair) maxInline() int {
	return min(int(p.a.caps.MaxInlineBytes), int(p.b.caps.MaxInlineBytes), p.maxBytes())
}

func moveEverySizeInline(p *pair) {
	for _, op := range p.both(transport.OpWrite, transport.OpWriteImm, transport.OpSend) {
		moveEverySize(p, op, transport.Inline)
	}
}
