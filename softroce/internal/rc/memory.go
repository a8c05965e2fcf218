package rc

import (
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/transport"
)

// local is the local memory of a request, in up to two pieces; false when a
// region of it was closed.
func (q *QueuePair) local(wr *transport.WorkRequest) (mem [2][]byte, ok bool) {
	if wr.Local.Len() > 0 {
		if mem[0], ok = q.cfg.Memory.Local(wr.Local); !ok {
			return mem, false
		}
	}
	if second := wr.SecondSpan(); second.Len() > 0 {
		if mem[1], ok = q.cfg.Memory.Local(second); !ok {
			return mem, false
		}
	}
	return mem, true
}

// part is the n bytes at offset of two pieces, which have as many.
func part(mem [2][]byte, offset, n int) (p [2][]byte) {
	first := len(mem[0])
	if offset >= first {
		p[0] = mem[1][offset-first:][:n]
		return p
	}
	p[0] = mem[0][offset:min(offset+n, first)]
	p[1] = mem[1][:n-len(p[0])]
	return p
}

// scatter copies data into two pieces, which have room for it; false when their
// memory is not there.
func scatter(mem [2][]byte, data []byte) bool {
	return pages.Guard(func() {
		n := copy(mem[0], data)
		copy(mem[1], data[n:])
	}) == nil
}

// gather sets p to the n bytes at offset of what the request at the cursor sends;
// false when a region of it was closed, or its memory is not there.
func (q *QueuePair) gather(p *[2][]byte, r *request, offset, n int) bool {
	if r.unsound {
		return false
	}
	if r.Flags&transport.Inline != 0 {
		p[0] = q.sends.inlineAt(q.sends.cursor)[offset:][:n]
		return true
	}
	if second := r.SecondSpan(); second.Len() == 0 && n > 0 { // nearly always
		mem, ok := q.cfg.Memory.Local(r.Local)
		if ok {
			p[0] = mem[offset:][:n]
		}
		return ok
	}
	mem, ok := q.local(&r.WorkRequest)
	if ok {
		*p = part(mem, offset, n)
	}
	return ok
}

// copyPayload copies what a request sends into buf.
func (q *QueuePair) copyPayload(buf []byte, r *request) bool {
	mem, ok := q.local(&r.WorkRequest)
	if !ok || len(mem[0])+len(mem[1]) > len(buf) {
		return false
	}
	r.faulted = pages.Guard(func() { copy(buf[copy(buf, mem[0]):], mem[1]) }) != nil
	return !r.faulted
}
