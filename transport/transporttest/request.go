package transporttest

import (
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

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
func (a *agent) build(r request) (transport.WorkRequest, error) {
	local, err := a.span(r.Local)
	if err != nil {
		return transport.WorkRequest{}, err
	}
	var w transport.WorkRequest
	switch r.Op {
	case transport.OpSend:
		w = transport.Send(r.ID, local)
	case transport.OpWrite:
		w = transport.Write(r.ID, local, r.Remote)
	case transport.OpWriteImm:
		w = transport.WriteImm(r.ID, local, r.Remote, r.Imm)
	case transport.OpRead:
		w = transport.Read(r.ID, local, r.Remote)
	case transport.OpFetchAdd:
		w = transport.FetchAdd(r.ID, local, r.Remote, r.Addend)
	case transport.OpCompareSwap:
		w = transport.CompareSwap(r.ID, local, r.Remote, r.Compare, r.Swap)
	case transport.OpRecv:
		w = transport.Recv(r.ID, local)
	default:
		w = transport.WorkRequest{ID: r.ID, Op: r.Op, Local: local}
	}
	if r.Second != (place{}) {
		second, err := a.span(r.Second)
		if err != nil {
			return transport.WorkRequest{}, err
		}
		w = w.WithSecondSpan(second)
	}
	return w.With(r.Flags), nil
}

// span names a place. A region that was closed can still be named.
func (a *agent) span(p place) (transport.Span, error) {
	if p.Region == 0 {
		return transport.Span{}, nil
	}
	r, err := get[*transport.Region](a, p.Region)
	if err != nil {
		return transport.Span{}, err
	}
	if p.Off < 0 || p.Len < 0 || p.Off+p.Len > r.Len() {
		return transport.Span{}, fmt.Errorf("a place [%d:+%d] in a region of %d bytes", p.Off, p.Len, r.Len())
	}
	return r.Span(p.Off, p.Len), nil
}
