package loopback

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/transport"
)

// outcome is the result of an attempt to carry out a request.
type outcome struct {
	wait   bool // nothing was done: the peer has no receive
	status transport.Status
	why    error // if the status is not StatusOK
}

func failed(status transport.Status, why error) outcome { return outcome{status: status, why: why} }

var (
	errLocalClosed = errors.New("a local region of the request was closed")
	errRecvClosed  = errors.New("the region of the receive was closed")
)

// faulted is the outcome of a request whose own or remote memory is not mapped.
func faulted(f *pages.Fault, own segments) outcome {
	if f.In(own[0]) || f.In(own[1]) {
		return localFault(f)
	}
	return failed(transport.StatusRemoteOperation, fmt.Errorf("the peer's memory at %#x is not mapped, or does not allow it", f.Address))
}

// execute carries out a request of q. The wire is locked.
func (q *queuePair) execute(r *request, peer *queuePair) outcome {
	local, ok := r.inline, !r.unsound
	if r.Flags&transport.Inline == 0 {
		local, ok = q.pd.local(&r.WorkRequest)
	}
	if !ok {
		return failed(transport.StatusLocalProtection, errLocalClosed)
	}
	if r.fault != nil {
		return localFault(r.fault)
	}
	switch r.Op {
	case transport.OpSend:
		return q.send(r, local, peer)
	case transport.OpWrite, transport.OpWriteImm:
		return q.write(r, local, peer)
	case transport.OpRead:
		return q.read(r, local, peer)
	case transport.OpFetchAdd, transport.OpCompareSwap:
		return q.atomic(r, local, peer)
	}
	return failed(transport.StatusLocalOperation, fmt.Errorf("%w: %v in a send queue", transport.ErrInvalid, r.Op))
}

func localFault(f *pages.Fault) outcome {
	return failed(transport.StatusLocalProtection, fmt.Errorf("the local memory at %#x is not mapped, or does not allow it", f.Address))
}

func (q *queuePair) send(r *request, payload segments, peer *queuePair) outcome {
	recv, ok := peer.takeReceive(q)
	if !ok {
		return outcome{wait: true}
	}
	bytes, room, solicited := r.Bytes(), recv.Bytes(), r.Flags&transport.Solicited != 0
	c := transport.Completion{Op: transport.OpRecv}
	memory, ok := peer.pd.local(&recv)
	switch {
	case !ok:
		c.Status = transport.StatusLocalProtection
		peer.completeRecv(&recv, c, solicited)
		return failed(transport.StatusRemoteOperation, errRecvClosed)
	case bytes > room:
		c.Status = transport.StatusLocalLength
		peer.completeRecv(&recv, c, solicited)
		return failed(transport.StatusRemoteInvalidRequest, fmt.Errorf("%d bytes sent, the receive has room for %d", bytes, room))
	}
	if f := transfer(memory, payload); f != nil {
		return peer.abandonReceive(&recv, faulted(f, payload))
	}
	c.Bytes = uint32(bytes)
	peer.completeRecv(&recv, c, solicited)
	return outcome{}
}

func (q *queuePair) write(r *request, payload segments, peer *queuePair) outcome {
	var memory segments
	bytes := r.Bytes()
	if bytes > 0 {
		mem, err := peer.pd.Remote(r.Remote.Key, r.Remote.Addr, bytes, transport.RemoteWrite)
		if err != nil {
			return failed(transport.StatusRemoteAccess, err)
		}
		memory[0] = mem
	}
	if r.Op == transport.OpWrite {
		if f := transfer(memory, payload); f != nil {
			return faulted(f, payload)
		}
		return outcome{}
	}
	recv, ok := peer.takeReceive(q)
	if !ok {
		return outcome{wait: true}
	}
	if f := transfer(memory, payload); f != nil {
		return peer.abandonReceive(&recv, faulted(f, payload))
	}
	peer.completeRecv(&recv, transport.Completion{
		Op: transport.OpRecvImm, Bytes: uint32(bytes), Imm: r.Imm, HasImm: true,
	}, r.Flags&transport.Solicited != 0)
	return outcome{}
}

func (q *queuePair) read(r *request, result segments, peer *queuePair) outcome {
	var memory segments
	if bytes := r.Bytes(); bytes > 0 {
		mem, err := peer.pd.Remote(r.Remote.Key, r.Remote.Addr, bytes, transport.RemoteRead)
		if err != nil {
			return failed(transport.StatusRemoteAccess, err)
		}
		memory[0] = mem
	}
	if f := transfer(result, memory); f != nil {
		return faulted(f, result)
	}
	return outcome{}
}

// atomic does a fetch-add or compare-swap with the processor's own instruction.
func (q *queuePair) atomic(r *request, result segments, peer *queuePair) outcome {
	mem, err := peer.pd.Remote(r.Remote.Key, r.Remote.Addr, 8, transport.RemoteAtomic)
	if err != nil {
		return failed(transport.StatusRemoteAccess, err)
	}
	word := pages.Word(mem)
	if word == nil {
		return failed(transport.StatusRemoteAccess, fmt.Errorf("%w: the word at %#x is not aligned", transport.ErrInvalid, r.Remote.Addr))
	}
	var former uint64
	fault := pages.Guard(func() {
		if r.Op == transport.OpFetchAdd {
			former = word.Add(r.Addend()) - r.Addend()
			return
		}
		for former = word.Load(); former == r.Compare() && !word.CompareAndSwap(former, r.Swap()); {
			former = word.Load()
		}
	})
	if fault != nil {
		return faulted(fault, segments{})
	}
	var encoded [8]byte
	binary.NativeEndian.PutUint64(encoded[:], former)
	if f := transfer(result, segments{encoded[:]}); f != nil {
		return faulted(f, result)
	}
	return outcome{}
}

// abandonReceive ends a receive of q that was taken for a request that failed
// with o. The receive fails, too, if this end's memory was the reason.
func (q *queuePair) abandonReceive(recv *transport.WorkRequest, o outcome) outcome {
	status := transport.StatusFlushed
	if o.status == transport.StatusRemoteOperation {
		status = transport.StatusLocalProtection
	}
	q.completeRecv(recv, transport.Completion{Op: transport.OpRecv, Status: status}, true)
	return o
}

// takeReceive takes q's next receive for a sender. If there is none, the sender is
// resumed when one is posted.
func (q *queuePair) takeReceive(sender *queuePair) (recv transport.WorkRequest, ok bool) {
	if q.srq != nil {
		return q.srq.take(sender)
	}
	if first := q.recvs.Take(); first != nil {
		return *first, true
	}
	return recv, false
}
