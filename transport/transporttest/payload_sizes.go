package transporttest

import (
	"fmt"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

var payloadTests = []test{
	{"payload/every size and offset by Write", needs{ops: transport.Ops(transport.OpWrite)}, func(p *pair) { moveEverySize(p, shape{}, moveWrite) }},
	{"payload/every size and offset by WriteImm", needs{ops: transport.Ops(transport.OpWriteImm)}, func(p *pair) { moveEverySize(p, shape{}, moveWriteImm) }},
	{"payload/every size and offset by Read", needs{ops: transport.Ops(transport.OpRead)}, func(p *pair) { moveEverySize(p, shape{}, moveRead) }},
	{"payload/every size and offset by Send", needs{ops: transport.Ops(transport.OpSend)}, func(p *pair) { moveEverySize(p, shape{}, moveSend) }},
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

// mover moves n bytes from one region's place to another's over a connection
// and returns when they are there.
type mover func(l link, from, to region, fromOff, toOff, n int)

func moveWrite(l link, from, to region, fromOff, toOff, n int) {
	l.a.do(write(1, from.at(fromOff, n), to.remote(toOff, n)))
}

func moveWriteImm(l link, from, to region, fromOff, toOff, n int) {
	l.b.postRecv(recv(2, place{}))
	l.deliver([]request{writeImm(1, from.at(fromOff, n), to.remote(toOff, n), uint32(n))}, receivedImm(2, n, uint32(n)))
}

func moveRead(l link, from, to region, fromOff, toOff, n int) {
	l.b.do(read(1, to.at(toOff, n), from.remote(fromOff, n)))
}

func moveSend(l link, from, to region, fromOff, toOff, n int) {
	l.b.postRecv(recv(2, to.at(toOff, n)))
	l.deliver([]request{send(1, from.at(fromOff, n))}, received(2, n))
}

// moveEverySize moves payloads of each size between odd places and checks every
// byte that was to change and those around it.
func moveEverySize(p *pair, s shape, move mover) {
	most := p.maxBytes()
	if s.inline > 0 {
		most = min(most, s.inline)
	}
	p.connect(s).eachWay(func(l link) {
		for _, n := range sizes(most, int(l.a.caps.MaxInlineBytes)) {
			if !p.picked() {
				continue
			}
			f := newFrames(l, n)
			for _, off := range offsets {
				f.move(fmt.Sprintf("%d bytes from +%d to +%d", n, off[0], off[1]), move, off[0], off[1], n)
				if n > longPayload {
					break
				}
			}
			f.close()
		}
	})
}

// frames is a source and a destination with room for guards.
type frames struct {
	l        link
	from, to region
}

func newFrames(l link, n int) frames {
	size := n + 3*guardBytes
	return frames{l, l.a.alloc(size, transport.RemoteRead), l.b.alloc(size, transport.RemoteWrite)}
}

func (f frames) close() {
	f.from.close()
	f.to.close()
}

// move fills both sides, moves, and checks both.
func (f frames) move(what string, move mover, fromOff, toOff, n int) {
	p := f.l.a.pair
	p.Helper()
	payload := p.pattern()
	source := framedArgs{Frame: f.from.all(), Off: guardBytes + fromOff, Len: n, Guard: payload + 1, Payload: payload}
	target := framedArgs{Frame: f.to.all(), Off: guardBytes + toOff, Len: n, Guard: payload + 2, Payload: payload + 3}
	fillFramed.must(f.from.end, source)
	fillFramed.must(f.to.end, target)
	move(f.l, f.from, f.to, source.Off, target.Off, n)
	target.Payload = payload
	if _, err := checkFramed.on(f.to.end, target); err != nil {
		f.to.fatalf("%s: destination: %v", what, err)
	}
	if _, err := checkFramed.on(f.from.end, source); err != nil {
		f.from.fatalf("%s: source: %v", what, err)
	}
}

// maxInline is the longest inline payload to be tested.
func (p *pair) maxInline() int {
	return min(int(p.a.caps.MaxInlineBytes), int(p.b.caps.MaxInlineBytes), p.maxBytes())
}

func moveEverySizeInline(p *pair) {
	s := shape{inline: p.maxInline()}
	moves := []struct {
		op   transport.Op
		move mover
	}{
		{transport.OpWrite, func(l link, from, to region, fromOff, toOff, n int) {
			l.a.do(write(1, from.at(fromOff, n), to.remote(toOff, n)).with(transport.Inline))
		}},
		{transport.OpWriteImm, func(l link, from, to region, fromOff, toOff, n int) {
			l.b.postRecv(recv(2, place{}))
			l.deliver([]request{writeImm(1, from.at(fromOff, n), to.remote(toOff, n), 77).with(transport.Inline)}, receivedImm(2, n, 77))
		}},
		{transport.OpSend, func(l link, from, to region, fromOff, toOff, n int) {
			l.b.postRecv(recv(2, to.at(toOff, n)))
			l.deliver([]request{send(1, from.at(fromOff, n)).with(transport.Inline)}, received(2, n))
		}},
	}
	for _, m := range moves {
		if p.a.caps.Ops.Has(m.op) && p.b.caps.Ops.Has(m.op) {
			moveEverySize(p, s, m.move)
		}
	}
}
