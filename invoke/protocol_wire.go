package invoke

import (
	"encoding/binary"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// A call is one WRITE WITH IMMEDIATE to the worker, its answer one back. Both
// write a header of one cache line and, right behind it, the payload. All
// numbers are little-endian.
//
// Request header, written into the call's slot at the worker:
//
//	 0  8  id of the call
//	 8  4  function index
//	12  4  payload bytes
//	16  8  timeout in ns from arrival on, 0 for none (relative: clocks differ)
//	24  8  address } of the header of the reply,
//	32  4  key     } in the client's memory
//	36  4  payload bytes there is room for behind that header
//	40  8  address } of the input, in the client's memory, if it does not follow
//	48  4  key     } the header
//	52  1  1 if it does not, else 0
//	53  1  1 if a result that is longer than a slot is to be offered, else 0
//	54  2  zero
//	56  4  bytes of metadata, which follow the input, or the header if that does not
//	60  4  zero
//
// Reply header, written to where the request asked for:
//
//	 0  8  id of the call
//	 8  1  status
//	 9  1  1 if the function was entered
//	10  2  zero
//	12  4  payload bytes: the result, or the message of a status that is not ok. A
//	       result that is longer than a slot does not come with the header: it was
//	       written behind it before, or is offered
//	16  8  execution time in ns
//	24  8  queue time in ns, from the worker's noticing the request to its start
//	32  4  code of the function's error
//	36  4  key     } of an offered result, in the worker's memory: until the
//	40  8  address } client sends a cancel of the call
//	48 16  zero
//
// The immediate data of a request holds, from the low bits up, 10 bits of slot,
// 2 bits of kind and 20 bits of function index (of a cancel: the low bits of the
// id). That of a reply holds 10 bits of slot, 6 bits of status and the low 16
// bits of the id. With it and with the number of bytes that the completion
// tells, neither end has to touch the header's cache line before it acts on the
// usual case: a request of kindPlain has no deadline and wants its reply in the
// slot, a reply with StatusOK has nothing to explain. That saves a
// cache miss in series each way.
//
// Ids need not be read for that, because both ends can tell them: the calls of a
// slot have the ids first+slot, first+slot+slots, first+slot+2*slots and so on.
const (
	headerBytes = 64

	immSlotBits     = 10
	immKindBits     = 2
	immFunctionBits = 20
	immStatusBits   = 6
	immTagBits      = 16

	maxSlots = 1 << immSlotBits
)

// requestKind tells a worker what a request's header holds.
type requestKind uint32

const (
	kindPlain    requestKind = iota // nothing that is not known already
	kindFull                        // a deadline, another address for the reply, metadata
	kindCancel                      // no header: the caller of the slot's call gave up
	kindCanceled                    // never sent: marks a request whose cancel came with it
)

// requestHeader is a decoded request header.
type requestHeader struct {
	id         uint64
	function   uint32
	bytes      uint32
	timeout    time.Duration
	reply      transport.RemoteSpan // the header and the room behind it
	rendezvous bool                 // the input does not follow the header
	source     transport.RemoteSpan // but is there
	offer      bool                 // a result that is longer than a slot is to be offered
	metadata   uint32               // bytes of it
}

// putRequest writes a request header to b. The reply span, header and room, is at
// least headerBytes long.
func putRequest(b *[headerBytes]byte, id uint64, function, bytes uint32, timeout time.Duration, reply transport.RemoteSpan) {
	binary.LittleEndian.PutUint64(b[0:], id)
	binary.LittleEndian.PutUint32(b[8:], function)
	binary.LittleEndian.PutUint32(b[12:], bytes)
	binary.LittleEndian.PutUint64(b[16:], uint64(timeout))
	binary.LittleEndian.PutUint64(b[24:], reply.Addr)
	binary.LittleEndian.PutUint32(b[32:], uint32(reply.Key))
	binary.LittleEndian.PutUint32(b[36:], reply.Len-headerBytes)
}

// putSource completes a header written by putRequest: the input is at source, or
// follows the header if that is empty.
func putSource(b *[headerBytes]byte, source transport.RemoteSpan) {
	apart := byte(0)
	if source.Len > 0 {
		apart = 1
	}
	binary.LittleEndian.PutUint64(b[40:], source.Addr)
	binary.LittleEndian.PutUint32(b[48:], uint32(source.Key))
	b[52] = apart
}

// putOffer completes a header written by putRequest: a long result is to be offered.
func putOffer(b *[headerBytes]byte) { b[53] = 1 }

// takeOffer undoes putOffer.
func takeOffer(b *[headerBytes]byte) { b[53] = 0 }

// putMetadataBytes completes a header written by putRequest: so much metadata follows.
func putMetadataBytes(b *[headerBytes]byte, n uint32) { binary.LittleEndian.PutUint32(b[56:], n) }

// decodeRequest reads what a peer wrote. Nothing in it is to be believed: a
// timeout is capped to what a Duration holds, and a room so that the span's
// length does not overflow; whether the span exists the transport checks.
func decodeRequest(b *[headerBytes]byte) requestHeader {
	h := requestHeader{
		id:       binary.LittleEndian.Uint64(b[0:]),
		function: binary.LittleEndian.Uint32(b[8:]),
		bytes:    binary.LittleEndian.Uint32(b[12:]),
		timeout:  time.Duration(min(binary.LittleEndian.Uint64(b[16:]), uint64(maxTimeout))),
		reply: transport.RemoteSpan{
			Addr: binary.LittleEndian.Uint64(b[24:]),
			Key:  transport.RKey(binary.LittleEndian.Uint32(b[32:])),
			Len:  headerBytes + min(binary.LittleEndian.Uint32(b[36:]), MaxPayloadBytes),
		},
	}
	h.metadata = binary.LittleEndian.Uint32(b[56:])
	h.offer = b[53] != 0
	if b[52] != 0 {
		h.rendezvous = true
		h.source = transport.RemoteSpan{
			Addr: binary.LittleEndian.Uint64(b[40:]),
			Key:  transport.RKey(binary.LittleEndian.Uint32(b[48:])),
			Len:  h.bytes,
		}
	}
	return h
}

// MaxPayloadBytes is the longest input, and the longest result, that a header can
// tell: a little less than 4 GiB.
const MaxPayloadBytes = 1<<32 - 4096

// maxTimeout is the longest time that a header can tell.
const maxTimeout = 365 * 24 * time.Hour

// replyHeader is a decoded reply header.
type replyHeader struct {
	id        uint64
	status    Status
	entered   bool
	bytes     uint32
	execution time.Duration
	queue     time.Duration
	code      uint32
	source    transport.RemoteSpan // of an offered result
}

func (h *replyHeader) encode(b *[headerBytes]byte) {
	word := uint64(h.status) | uint64(h.bytes)<<32
	if h.entered {
		word |= 1 << 8
	}
	binary.LittleEndian.PutUint64(b[0:], h.id)
	binary.LittleEndian.PutUint64(b[8:], word)
	binary.LittleEndian.PutUint64(b[16:], uint64(h.execution))
	binary.LittleEndian.PutUint64(b[24:], uint64(h.queue))
	binary.LittleEndian.PutUint32(b[32:], h.code)
	binary.LittleEndian.PutUint32(b[36:], uint32(h.source.Key))
	binary.LittleEndian.PutUint64(b[40:], h.source.Addr)
}

func decodeReply(b *[headerBytes]byte) replyHeader {
	return replyHeader{
		id:        binary.LittleEndian.Uint64(b[0:]),
		status:    Status(b[8]),
		entered:   b[9] != 0,
		bytes:     binary.LittleEndian.Uint32(b[12:]),
		execution: time.Duration(min(binary.LittleEndian.Uint64(b[16:]), uint64(maxTimeout))),
		queue:     time.Duration(min(binary.LittleEndian.Uint64(b[24:]), uint64(maxTimeout))),
		code:      binary.LittleEndian.Uint32(b[32:]),
		source: transport.RemoteSpan{
			Key:  transport.RKey(binary.LittleEndian.Uint32(b[36:])),
			Addr: binary.LittleEndian.Uint64(b[40:]),
		},
	}
}

func requestImm(slot uint32, kind requestKind, function uint32) uint32 {
	return slot | uint32(kind)<<immSlotBits | function<<(immSlotBits+immKindBits)
}

func functionOf(imm uint32) uint32 { return imm >> (immSlotBits + immKindBits) }

func decodeRequestImm(imm uint32) (slot uint32, kind requestKind, function uint32) {
	return imm & (1<<immSlotBits - 1), requestKind(imm >> immSlotBits & (1<<immKindBits - 1)), functionOf(imm)
}

// cancelTag is what a cancel carries instead of a function.
func cancelTag(id uint64) uint32 { return uint32(id) & (1<<immFunctionBits - 1) }

func replyImm(slot uint32, status Status, id uint64) uint32 {
	return slot | uint32(status)<<immSlotBits | uint32(id)<<(immSlotBits+immStatusBits)
}

func decodeReplyImm(imm uint32) (slot uint32, status Status, tag uint16) {
	return imm & (1<<immSlotBits - 1), Status(imm >> immSlotBits & (1<<immStatusBits - 1)), uint16(imm >> (immSlotBits + immStatusBits))
}
