package transporttest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

var walkTests = []test{
	{"walk/a random walk through all operations agrees with a plain model of memory", needs{}, randomWalk},
}

// A random walk drives several connections in both directions at once. Each
// direction has memory of its own, so that what it leaves behind depends on its
// own requests only: a model of plain slices, which carries the requests out one
// after the other, says what every byte has to be.

const (
	walkConns    = 3
	walkBytes    = 32 << 10 // of each region
	walkDepth    = 32
	walkMessages = walkDepth / 2 // at most, in one burst
)

// walker is one direction of one connection.
type walker struct {
	l        link
	random   *rand.Rand
	inline   int
	local    modelRegion // sources and results, at the requester
	remote   modelRegion // at the responder
	messages modelRegion // receives, at the responder
	nextID   uint64
}

// modelRegion is a region and what it has to contain.
type modelRegion struct {
	region
	model []byte
}

func (p *pair) newModelRegion(s side, access transport.Access) modelRegion {
	m := modelRegion{s.alloc(walkBytes, access), make([]byte, walkBytes)}
	seed := p.pattern()
	m.fill(0, walkBytes, seed)
	seed.fill(m.model, 0)
	return m
}

// compare checks the whole region against the model.
func (m modelRegion) compare(what string) {
	m.t.Helper()
	if got := peekMemory.must(m.end, m.all()); !bytes.Equal(got, m.model) {
		for i := range got {
			if got[i] != m.model[i] {
				m.fatalf("%s: byte %d is %#02x, the model says %#02x", what, i, got[i], m.model[i])
			}
		}
	}
}

func randomWalk(p *pair) {
	var walkers []*walker
	for i := range walkConns {
		l := p.connect(shape{sendDepth: walkDepth, recvDepth: walkDepth, inline: p.maxInline()})
		each := l.eachWay
		if p.cfg.Gentle {
			if i%2 == 1 {
				l = l.reversed()
			}
			each = func(walk func(l link)) { walk(l) }
		}
		each(func(l link) {
			walkers = append(walkers, &walker{
				l: l, random: rand.New(rand.NewPCG(p.random.Uint64(), 0)), inline: min(p.maxInline(), 512),
				local:    p.newModelRegion(l.a, transport.LocalOnly),
				remote:   p.newModelRegion(l.b, transport.RemoteAll),
				messages: p.newModelRegion(l.b, transport.LocalOnly),
			})
		})
	}
	const rounds, compareEach = 250, 10
	n := p.rounds(rounds)
	for round := range n {
		var bursts []func()
		for _, w := range walkers {
			bursts = append(bursts, w.burst())
		}
		for _, finish := range bursts {
			finish()
		}
		if round%compareEach == compareEach-1 || round == n-1 {
			for i, w := range walkers {
				what := fmt.Sprintf("after round %d, walker %d", round, i)
				w.local.compare(what + ": requester's memory")
				w.remote.compare(what + ": responder's memory")
				w.messages.compare(what + ": received messages")
			}
		}
	}
}

// burst posts some requests at once, and returns what waits for their
// completions. The local memory of a burst's requests does not overlap; remote
// memory may, and then a fence keeps what follows a read or an atomic in order.
func (w *walker) burst() (finish func()) {
	var requests, receives []request
	var received []want
	localOff, messageOff := 0, 0
	var unfenced []transport.RemoteSpan // of reads and atomics since the last fence
	take := func(limit int) place {     // the next free piece of local memory
		localOff += w.random.IntN(20)
		n := min(w.size(limit), walkBytes-localOff)
		at := w.local.at(localOff, max(n, 0))
		localOff += max(n, 0)
		return at
	}
	for range 1 + w.random.IntN(walkDepth-1) {
		if localOff > walkBytes/2 || messageOff > walkBytes/2 {
			break
		}
		op := w.operation(len(receives))
		if op == transport.OpInvalid {
			break
		}
		r := request{ID: w.nextID, Op: op, Imm: w.random.Uint32()}
		w.nextID++
		if op == transport.OpFetchAdd || op == transport.OpCompareSwap {
			localOff = (localOff + 7) &^ 7
			r.Local = w.local.at(localOff, 8)
			localOff += 8
			w.aimAtomic(&r)
		} else {
			limit := walkBytes / 8
			if op != transport.OpRead && w.inline > 0 && w.random.IntN(4) == 0 {
				r.Flags |= transport.Inline
				limit = w.inline / 2
			}
			r.Local = take(limit)
			if w.random.IntN(3) == 0 {
				r.Second = take(limit)
			}
			if op != transport.OpSend {
				n := r.size()
				r.Remote = w.remote.remote(w.random.IntN(walkBytes-n+1), n)
			}
		}
		if op == transport.OpSend || op == transport.OpWriteImm {
			receive := w.receiveFor(r, &messageOff)
			receives = append(receives, receive)
			bytes := r.size()
			if op == transport.OpSend {
				received = append(received, w.modelMessage(receive, r, bytes))
			} else {
				received = append(received, receivedImm(receive.ID, bytes, r.Imm))
			}
		}
		if overlaps(r, unfenced) || w.random.IntN(8) == 0 {
			r.Flags |= transport.Fence
			unfenced = nil
		}
		if op == transport.OpRead || op == transport.OpFetchAdd || op == transport.OpCompareSwap {
			unfenced = append(unfenced, r.Remote)
		}
		if w.random.IntN(3) > 0 {
			r.Flags |= transport.Signaled
		}
		w.modelRequest(r)
		requests = append(requests, r)
	}
	if len(requests) == 0 {
		return func() {}
	}
	requests[len(requests)-1].Flags |= transport.Signaled
	if w.l.a.pair.cfg.Gentle || w.random.IntN(2) == 0 { // messages may wait for their receives
		w.l.b.postRecv(receives...)
		w.l.a.post(requests...)
	} else {
		w.l.a.post(requests...)
		w.l.b.postRecv(receives...)
	}
	return func() {
		w.l.b.expectReceived(received...)
		w.l.b.received.expectNone("more than was sent")
		w.l.a.expectSent(done(requests...)...)
	}
}

// overlaps reports whether a request reaches into one of the spans.
func overlaps(r request, spans []transport.RemoteSpan) bool {
	return slices.ContainsFunc(spans, func(s transport.RemoteSpan) bool {
		return r.Op != transport.OpSend && r.Remote.Addr < s.Addr+uint64(s.Len) && s.Addr < r.Remote.Addr+uint64(r.Remote.Len)
	})
}

// operation picks one that both ends have.
func (w *walker) operation(messages int) transport.Op {
	for range 100 {
		op := transport.OpSend + transport.Op(w.random.IntN(int(transport.OpCompareSwap)))
		message := op == transport.OpSend || op == transport.OpWriteImm
		if w.l.a.caps.Ops.Has(op) && w.l.b.caps.Ops.Has(op) && !(message && messages >= walkMessages) {
			return op
		}
	}
	return transport.OpInvalid
}

// size picks a length: mostly small, often 0 or around a boundary.
func (w *walker) size(limit int) int {
	switch w.random.IntN(4) {
	case 0:
		return min(limit, boundaries[w.random.IntN(len(boundaries))])
	case 1:
		return w.random.IntN(limit + 1)
	}
	return w.random.IntN(min(limit, 100) + 1)
}

// aimAtomic picks a word, and a compare value that is right half of the time.
func (w *walker) aimAtomic(r *request) {
	off := w.random.IntN(walkBytes/8) * 8
	r.Remote = w.remote.remote(off, 8)
	r.Addend, r.Swap = w.random.Uint64(), w.random.Uint64()
	r.Compare = r.Addend
	if r.Op == transport.OpCompareSwap && w.random.IntN(2) == 0 {
		r.Compare = binary.NativeEndian.Uint64(w.remote.model[off:])
	}
}

// receiveFor makes the receive that the request will take, often longer than
// needed and in two spans.
func (w *walker) receiveFor(r request, messageOff *int) request {
	receive := recv(w.nextID, place{})
	w.nextID++
	if r.Op != transport.OpSend {
		return receive
	}
	n := r.size()
	cut := n
	if w.random.IntN(3) == 0 {
		cut = w.random.IntN(n + 1)
	}
	receive.Local = w.messages.at(*messageOff, cut)
	*messageOff += cut + w.random.IntN(20)
	receive.Second = w.messages.at(*messageOff, n-cut+w.random.IntN(20))
	*messageOff += receive.Second.Len
	return receive
}

// modelMessage puts the message of a Send into the model of the receive.
func (w *walker) modelMessage(receive, r request, bytes int) want {
	payload := w.payload(r)
	n := copy(w.messages.model[receive.Local.Off:][:receive.Local.Len], payload)
	copy(w.messages.model[receive.Second.Off:], payload[n:])
	return received(receive.ID, bytes)
}

// payload is what the model has in a request's local spans.
func (w *walker) payload(r request) []byte {
	first := w.local.model[r.Local.Off:][:r.Local.Len]
	return append(bytes.Clone(first), w.local.model[r.Second.Off:][:r.Second.Len]...)
}

// modelRequest carries a request out on the model.
func (w *walker) modelRequest(r request) {
	var there []byte
	if r.Op != transport.OpSend {
		there = w.remote.model[r.Remote.Addr-w.remote.whole.Addr:][:r.Remote.Len]
	}
	switch r.Op {
	case transport.OpWrite, transport.OpWriteImm:
		copy(there, w.payload(r))
	case transport.OpRead:
		n := copy(w.local.model[r.Local.Off:][:r.Local.Len], there)
		copy(w.local.model[r.Second.Off:], there[n:])
	case transport.OpFetchAdd, transport.OpCompareSwap:
		former := binary.NativeEndian.Uint64(there)
		binary.NativeEndian.PutUint64(w.local.model[r.Local.Off:], former)
		switch {
		case r.Op == transport.OpFetchAdd:
			binary.NativeEndian.PutUint64(there, former+r.Addend)
		case former == r.Compare:
			binary.NativeEndian.PutUint64(there, r.Swap)
		}
	}
}
