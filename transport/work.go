package transport

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Op is the operation of a work request or of a completion.
type Op uint8

// The operations. OpRecv and OpRecvImm are what a receiver sees: a receive
// completed by a Send, or by the immediate data of a WriteImm.
const (
	OpInvalid Op = iota
	OpSend
	OpWrite
	OpWriteImm
	OpRead
	OpFetchAdd
	OpCompareSwap
	OpRecv
	OpRecvImm
	opCount
)

var opNames = [opCount]string{"invalid", "send", "write", "write-imm", "read", "fetch-add", "compare-swap", "recv", "recv-imm"}

// String returns the operation's name as logs and errors show it.
func (o Op) String() string {
	if o < opCount {
		return opNames[o]
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// OpSet is a set of operations, a bit each.
type OpSet uint32

// Ops builds a set.
func Ops(ops ...Op) OpSet {
	var s OpSet
	for _, o := range ops {
		s |= 1 << o
	}
	return s
}

// Has reports whether o is in the set.
func (s OpSet) Has(o Op) bool { return s&(1<<o) != 0 }

// Flags modify a work request.
type Flags uint8

const (
	// Signaled asks for a completion. A request without it completes silently,
	// unless it fails. It occupies an entry of the send queue until the
	// completion of a later signaled request has been polled.
	Signaled Flags = 1 << iota
	// Inline has the payload copied while posting: the memory is the caller's
	// again when Post returns. Send, Write and WriteImm, up to the connection's
	// InlineBytes.
	Inline
	// Fence holds the request back until the reads and atomics posted before it
	// have finished.
	Fence
	// Solicited marks a Send or WriteImm whose arrival wakes a receiver that
	// sleeps for solicited events only.
	Solicited

	allFlags = Signaled | Inline | Fence | Solicited
)

// Access is what peers may do with a region.
type Access uint8

const (
	// LocalOnly grants the peers nothing.
	LocalOnly Access = 0
	// RemoteRead lets the peers of the protection domain read.
	RemoteRead Access = 1 << (iota - 1)
	// RemoteWrite lets them write.
	RemoteWrite
	// RemoteAtomic lets them fetch-add and compare-swap.
	RemoteAtomic

	// RemoteAll is all three.
	RemoteAll = RemoteRead | RemoteWrite | RemoteAtomic
)

var accessNames = []string{"remote-read", "remote-write", "remote-atomic"}

// String lists what is granted.
func (a Access) String() string {
	if a == LocalOnly {
		return "local-only"
	}
	var names []string
	for i, name := range accessNames {
		if a&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if rest := a &^ RemoteAll; rest != 0 {
		names = append(names, fmt.Sprintf("access(%#x)", uint8(rest)))
	}
	return strings.Join(names, ",")
}

// RKey is the token that a peer needs to name a region.
type RKey uint32

// Span is a part of a local Region. It is made by Region.Span; the zero Span
// has no bytes and no region.
type Span struct {
	addr uint64
	len  uint32
	lkey uint32
}

// Len is the length in bytes.
func (s Span) Len() int { return int(s.len) }

// Addr is the virtual address of the first byte. For providers.
func (s Span) Addr() uint64 { return s.addr }

// LKey names the region. For the program it is an opaque handle. In the
// requests that a provider gets from the front it is the local key of its MR.
func (s Span) LKey() uint32 { return s.lkey }

// Slice is the n bytes of s from off on. It panics when they are not within s.
func (s Span) Slice(off, n int) Span {
	if off < 0 || n < 0 || off > int(s.len)-n {
		panic(fmt.Sprintf("transport: slice [%d:+%d] of a span of %d bytes", off, n, s.len))
	}
	return Span{s.addr + uint64(off), uint32(n), s.lkey}
}

// RemoteSpan is a part of a peer's region: what a program hands to its peer so
// that the peer can write, read or use atomics there.
type RemoteSpan struct {
	Addr uint64 // virtual address in the owner's process
	Len  uint32 // bytes granted; the front refuses longer requests
	Key  RKey
}

// RemoteSpanBytes is the size of an encoded RemoteSpan.
const RemoteSpanBytes = 16

// Slice is the n bytes of r from off on. It panics when they are not within r.
func (r RemoteSpan) Slice(off, n int) RemoteSpan {
	if off < 0 || n < 0 || off > int(r.Len)-n {
		panic(fmt.Sprintf("transport: slice [%d:+%d] of a remote span of %d bytes", off, n, r.Len))
	}
	return RemoteSpan{r.Addr + uint64(off), uint32(n), r.Key}
}

// AppendTo appends the RemoteSpanBytes bytes of the encoding: address, length
// and key, big-endian.
func (r RemoteSpan) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, r.Addr)
	b = binary.BigEndian.AppendUint32(b, r.Len)
	return binary.BigEndian.AppendUint32(b, uint32(r.Key))
}

// DecodeRemoteSpan reads what AppendTo wrote from the front of b. ok is false
// when b is too short.
func DecodeRemoteSpan(b []byte) (r RemoteSpan, ok bool) {
	if len(b) < RemoteSpanBytes {
		return RemoteSpan{}, false
	}
	return RemoteSpan{
		Addr: binary.BigEndian.Uint64(b),
		Len:  binary.BigEndian.Uint32(b[8:]),
		Key:  RKey(binary.BigEndian.Uint32(b[12:])),
	}, true
}

// WorkRequest asks for one operation. It is a value of one cache line without
// pointers: nothing for the garbage collector, legal to hand to C. Build it
// with Send, Write, WriteImm, Read, FetchAdd, CompareSwap or Recv.
type WorkRequest struct {
	ID     uint64 // the caller's; comes back in the completion
	Local  Span
	Remote RemoteSpan
	arg0   uint64 // FetchAdd: addend. CompareSwap: compare. Else: the second span's address
	arg1   uint64 // CompareSwap: swap. Else: the second span's key (high half) and length
	Imm    uint32
	Op     Op
	Flags  Flags
	_      [2]byte
}

// Send asks to send local's bytes into the next receive of the peer.
func Send(id uint64, local Span) WorkRequest {
	return WorkRequest{ID: id, Op: OpSend, Local: local}
}

// Write asks to copy local's bytes to the beginning of remote.
func Write(id uint64, local Span, remote RemoteSpan) WorkRequest {
	return WorkRequest{ID: id, Op: OpWrite, Local: local, Remote: remote}
}

// WriteImm is Write, and then completes the peer's next receive with imm. The
// written bytes are visible to the peer when it polls that completion.
func WriteImm(id uint64, local Span, remote RemoteSpan, imm uint32) WorkRequest {
	return WorkRequest{ID: id, Op: OpWriteImm, Local: local, Remote: remote, Imm: imm}
}

// Read asks to fill local from the beginning of remote.
func Read(id uint64, local Span, remote RemoteSpan) WorkRequest {
	return WorkRequest{ID: id, Op: OpRead, Local: local, Remote: remote}
}

// FetchAdd adds to the 64-bit word at remote (native byte order, 8-byte
// aligned) and stores its former value in the 8 bytes of result.
func FetchAdd(id uint64, result Span, remote RemoteSpan, addend uint64) WorkRequest {
	return WorkRequest{ID: id, Op: OpFetchAdd, Local: result, Remote: remote, arg0: addend}
}

// CompareSwap stores swap in the 64-bit word at remote (native byte order,
// 8-byte aligned) if it equals compare, and its former value in the 8 bytes of
// result in either case.
func CompareSwap(id uint64, result Span, remote RemoteSpan, compare, swap uint64) WorkRequest {
	return WorkRequest{ID: id, Op: OpCompareSwap, Local: result, Remote: remote, arg0: compare, arg1: swap}
}

// Recv offers local for the next Send of the peer. A WriteImm of the peer takes
// a receive too and leaves its memory untouched. For PostRecv only.
func Recv(id uint64, local Span) WorkRequest {
	return WorkRequest{ID: id, Op: OpRecv, Local: local}
}

// With returns the request with the flags added.
func (w WorkRequest) With(f Flags) WorkRequest {
	w.Flags |= f
	return w
}

// WithSecondSpan returns the request with a second local span: its bytes follow those of
// the first. Not for atomics.
func (w WorkRequest) WithSecondSpan(second Span) WorkRequest {
	w.setSecondSpan(second)
	return w
}

// SecondSpan is the second local span, empty for atomics.
func (w *WorkRequest) SecondSpan() Span {
	if w.Op == OpFetchAdd || w.Op == OpCompareSwap {
		return Span{}
	}
	return Span{w.arg0, uint32(w.arg1), uint32(w.arg1 >> 32)}
}

// Addend is what a FetchAdd adds.
func (w *WorkRequest) Addend() uint64 { return w.arg0 }

// Compare is what a CompareSwap compares the word with.
func (w *WorkRequest) Compare() uint64 { return w.arg0 }

// Swap is what a CompareSwap stores when they are equal.
func (w *WorkRequest) Swap() uint64 { return w.arg1 }

func (w *WorkRequest) setSecondSpan(s Span) {
	w.arg0, w.arg1 = s.addr, uint64(s.lkey)<<32|uint64(s.len)
}

// set copies a request field by field. A caller has just stored the fields one by
// one; loading them back wider than they were stored makes a processor wait until
// they have reached its cache.
func (w *WorkRequest) set(from *WorkRequest) {
	w.ID = from.ID
	w.Local.addr = from.Local.addr
	w.Local.len = from.Local.len
	w.Local.lkey = from.Local.lkey
	w.Remote.Addr = from.Remote.Addr
	w.Remote.Len = from.Remote.Len
	w.Remote.Key = from.Remote.Key
	w.arg0 = from.arg0
	w.arg1 = from.arg1
	w.Imm = from.Imm
	w.Op = from.Op
	w.Flags = from.Flags
}

// Bytes is the payload's length: both spans together.
func (w *WorkRequest) Bytes() uint64 {
	if w.Op == OpFetchAdd || w.Op == OpCompareSwap {
		return uint64(w.Local.len)
	}
	return uint64(w.Local.len) + uint64(uint32(w.arg1))
}
