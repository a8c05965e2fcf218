package transporttest

import "github.com/rfaas-go/rfaas/transport"

// place is a part of a region of the end that is to use it. The zero place is
// the zero span.
type place struct {
	Region   handle
	Off, Len int
}

// request is a transport.WorkRequest that can be sent to an agent.
type request struct {
	ID            uint64
	Op            transport.Op
	Flags         transport.Flags
	Local, Second place
	Remote        transport.RemoteSpan
	Addend        uint64
	Compare, Swap uint64
	Imm           uint32
}

// The constructors make signaled requests.

func send(id uint64, from place) request {
	return request{ID: id, Op: transport.OpSend, Flags: transport.Signaled, Local: from}
}

func write(id uint64, from place, to transport.RemoteSpan) request {
	return request{ID: id, Op: transport.OpWrite, Flags: transport.Signaled, Local: from, Remote: to}
}

func writeImm(id uint64, from place, to transport.RemoteSpan, imm uint32) request {
	return request{ID: id, Op: transport.OpWriteImm, Flags: transport.Signaled, Local: from, Remote: to, Imm: imm}
}

func read(id uint64, into place, from transport.RemoteSpan) request {
	return request{ID: id, Op: transport.OpRead, Flags: transport.Signaled, Local: into, Remote: from}
}

func fetchAdd(id uint64, former place, word transport.RemoteSpan, addend uint64) request {
	return request{ID: id, Op: transport.OpFetchAdd, Flags: transport.Signaled, Local: former, Remote: word, Addend: addend}
}

func compareSwap(id uint64, former place, word transport.RemoteSpan, compare, swap uint64) request {
	return request{ID: id, Op: transport.OpCompareSwap, Flags: transport.Signaled, Local: former, Remote: word, Compare: compare, Swap: swap}
}

func recv(id uint64, into place) request {
	return request{ID: id, Op: transport.OpRecv, Local: into}
}

// ids makes n requests with the IDs from first on.
func ids(first, n int, build func(id uint64) request) []request {
	requests := make([]request, n)
	for i := range requests {
		requests[i] = build(uint64(first + i))
	}
	return requests
}

// emptySends makes n messages without bytes.
func emptySends(first, n int) []request {
	return ids(first, n, func(id uint64) request { return send(id, place{}) })
}

// emptyRecvs makes n receives without memory.
func emptyRecvs(first, n int) []request {
	return ids(first, n, func(id uint64) request { return recv(id, place{}) })
}

// empty makes a request without bytes that both ends can handle.
func (p *pair) empty(id uint64) request {
	if p.has(transport.OpSend) {
		return send(id, place{})
	}
	return write(id, place{}, transport.RemoteSpan{})
}

// size is how many bytes the request moves.
func (r request) size() int { return r.Local.Len + r.Second.Len }

// and adds the second span.
func (r request) and(second place) request {
	r.Second = second
	return r
}

// with adds flags.
func (r request) with(f transport.Flags) request {
	r.Flags |= f
	return r
}

// quiet makes the request an unsignaled one.
func (r request) quiet() request {
	r.Flags &^= transport.Signaled
	return r
}

// build makes the work request.
func (a *agent) build(r request) transport.WorkRequest {
	local := a.span(r.Local)
	w := transport.WorkRequest{ID: r.ID, Op: r.Op, Local: local, Remote: r.Remote}
	switch r.Op {
	case transport.OpWriteImm:
		w.Imm = r.Imm
	case transport.OpFetchAdd:
		w = transport.FetchAdd(r.ID, local, r.Remote, r.Addend)
	case transport.OpCompareSwap:
		w = transport.CompareSwap(r.ID, local, r.Remote, r.Compare, r.Swap)
	}
	if r.Second != (place{}) {
		w = w.WithSecondSpan(a.span(r.Second))
	}
	return w.With(r.Flags)
}

// span names a place. A region that was closed can still be named.
func (a *agent) span(p place) transport.Span {
	if p.Region == 0 {
		return transport.Span{}
	}
	return get[*transport.Region](a, p.Region).Span(p.Off, p.Len)
}

// numbered makes a request of any operation that a stream of them can consist of.
// What it writes, adds and sends along follows from its ID.
func numbered(id uint64, op transport.Op, local transport.Span, remote transport.RemoteSpan) transport.WorkRequest {
	switch op {
	case transport.OpSend:
		return transport.Send(id, local)
	case transport.OpWriteImm:
		return transport.WriteImm(id, local, remote, uint32(id))
	case transport.OpFetchAdd:
		return transport.FetchAdd(id, local, remote, 1)
	case transport.OpCompareSwap:
		return transport.CompareSwap(id, local, remote, id, id+1)
	}
	return transport.WorkRequest{ID: id, Op: op, Local: local, Remote: remote}
}
