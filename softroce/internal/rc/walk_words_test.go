package rc_test

import (
	"encoding/binary"

	"github.com/rfaas-go/rfaas/transport"
)

// sharedWords is how many words of a host everybody counts on.
const sharedWords = 3

// words are the words of a host that all its peers change by atomics, in an order
// that nobody knows beforehand. But there must be one: the changes, each from a
// former value to a next one, have to form a chain from the first value of a word
// to its last. As no value comes twice, a change that was lost or made twice
// breaks it.
type words struct {
	region  *region
	first   [sharedWords]uint64
	changes [sharedWords][]change
	unread  [sharedWords][]change // that changed nothing, and only saw a value
	guess   [sharedWords]uint64   // the latest value that somebody was told
}

type change struct {
	former, next uint64
	side         *side
	request      int
}

func (ws *words) word(i int) piece { return piece{ws.region.at.off + 8*i, 8} }

func (ws *words) start() {
	for i := range ws.first {
		ws.first[i] = binary.NativeEndian.Uint64(ws.region.host.mem(ws.word(i)))
		ws.guess[i] = ws.first[i]
	}
}

// draw makes r an atomic of one of the words.
func (ws *words) draw(s *side, r *request) {
	i := s.random.IntN(sharedWords)
	r.shared = true
	r.target = ws.word(i)
	operand := s.random.Uint64() | 1
	if r.wr.Op == transport.OpFetchAdd {
		r.wr = transport.FetchAdd(0, r.wr.Local, ws.region.remote(r.target), operand)
	} else {
		r.wr = transport.CompareSwap(0, r.wr.Local, ws.region.remote(r.target), ws.guess[i], operand)
	}
	r.content = r.content[:0]
}

// changed takes the former value that a completed atomic returned.
func (ws *words) changed(s *side, r *request, former uint64) {
	i := (r.target.off - ws.region.at.off) / 8
	c := change{former, former, s, r.index}
	if r.wr.Op == transport.OpFetchAdd {
		c.next += r.wr.Addend()
	} else if former == r.wr.Compare() {
		c.next = r.wr.Swap()
	}
	if c.next == c.former {
		ws.unread[i] = append(ws.unread[i], c)
	} else {
		ws.changes[i] = append(ws.changes[i], c)
	}
	ws.guess[i] = c.next
}

// check follows the chains, once all atomics have completed.
func (ws *words) check() {
	h := ws.region.host
	for i := range ws.first {
		after := map[uint64]change{}
		for _, c := range ws.changes[i] {
			if d, twice := after[c.former]; twice {
				h.w.failf("word %d of %s: request %d of %s and request %d of %s both found %#x",
					i, h.name, c.request, c.side.name, d.request, d.side.name, c.former)
			}
			after[c.former] = c
		}
		value, seen := ws.first[i], map[uint64]bool{ws.first[i]: true}
		for range after {
			c, ok := after[value]
			if !ok {
				h.w.failf("word %d of %s: nobody found %#x, and %d changes are to come", i, h.name, value, len(after)+1-len(seen))
			}
			value = c.next
			seen[value] = true
		}
		for _, c := range ws.unread[i] {
			if !seen[c.former] {
				h.w.failf("word %d of %s: request %d of %s found %#x, which never was there", i, h.name, c.request, c.side.name, c.former)
			}
		}
		binary.NativeEndian.PutUint64(h.model(ws.word(i)), value)
	}
}
