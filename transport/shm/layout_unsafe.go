package shm

import (
	"sync/atomic"
	"unsafe"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// The layout of a half: one page-aligned header, the slots, the side buffers.
// Everything in it is written by its owner only. Lines that are written at
// different times by different goroutines do not share a cache line.

const (
	lineBytes  = 64
	slotInline = 48 // payload that fits into a slot itself
	sideBytes  = 256
)

// header is the beginning of a half.
type header struct {
	// announced counts the regions that were ever announced on this connection.
	// An unknown key is wrong only once that many have been handled.
	announced atomic.Uint32
	// ended is set when this end will consume no more messages; failure is then
	// set if it refused one. Then final is what acked was.
	ended       atomic.Uint32
	failedIndex atomic.Uint32
	failure     atomic.Uint32 // transport.Status for the sender of failedIndex
	_           [lineBytes - 16]byte

	// acked is how many messages of the peer's ring have been consumed.
	acked atomic.Uint32
	_     [lineBytes - 4]byte

	// receiveBell and sendBell announce that this end sleeps until messages or
	// acknowledgements come: see bell.go.
	receiveBell atomic.Uint32
	sendBell    atomic.Uint32
	_           [lineBytes - 8]byte

	// rungReceive and rungSend are the values of the peer's bells that this end
	// has answered.
	rungReceive atomic.Uint32
	rungSend    atomic.Uint32
	_           [lineBytes - 8]byte
}

// slot is one message. The sequence number is written last and makes it
// visible: the message with index i (counted from 0 for ever, modulo 2^32) lies
// in slot i mod the ring's length with sequence i+1.
type slot struct {
	sequence atomic.Uint32
	bytes    uint32 // of payload; of a WriteImm, what was written
	imm      uint32
	kind     slotKind
	flags    transport.Flags
	_        [2]byte
	payload  [slotInline]byte
}

type slotKind uint8

const (
	slotWriteImm  slotKind = iota + 1 // the first reference says where, for a prefetch
	slotSendShort                     // payload in the slot
	slotSendSide                      // payload in the side buffer of the slot
	slotSendSpans                     // payload in the sender's regions: two references in the slot
)

// reference names bytes in a region of the slot's writer.
type reference struct {
	addr uint64
	len  uint32
	key  uint32
}

const (
	slotBytes = int(unsafe.Sizeof(slot{}))
	slotsAt   = int(unsafe.Sizeof(header{}))
	maxSlots  = 1 << 16
)

// Compile-time checks of the layout.
var (
	_ [0]struct{} = [unsafe.Sizeof(slot{}) - lineBytes]struct{}{}
	_ [0]struct{} = [unsafe.Sizeof(header{}) - 4*lineBytes]struct{}{}
	_ [0]struct{} = [unsafe.Sizeof(transport.Span{}) - 16]struct{}{}
)

// half is a view of a mapped half: the own one to write, the peer's to read.
type half struct {
	*header
	slots []slot
	side  []byte
	mask  uint32 // len(slots)-1
}

func halfBytes(slots int) int { return slotsAt + slots*(slotBytes+sideBytes) }

// viewHalf lays the structure over mem, which must have halfBytes(slots) bytes;
// slots is a power of two.
func viewHalf(mem []byte, slots int) half {
	base := unsafe.Pointer(unsafe.SliceData(mem))
	sideAt := slotsAt + slots*slotBytes
	return half{
		header: (*header)(base),
		slots:  unsafe.Slice((*slot)(unsafe.Add(base, slotsAt)), slots),
		side:   mem[sideAt : sideAt+slots*sideBytes],
		mask:   uint32(slots - 1),
	}
}

// sideOf is the side buffer of the message with the given index.
func (h *half) sideOf(index uint32) []byte {
	at := int(index&h.mask) * sideBytes
	return h.side[at : at+sideBytes : at+sideBytes]
}

// references is the slot's payload as two references.
func (s *slot) references() *[2]reference { return (*[2]reference)(unsafe.Pointer(&s.payload)) }

// revocation is the word in a region's last page that is set when the region
// was closed by its owner.
func revocation(mem []byte) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&mem[len(mem)-pageSize]))
}

// memory is the bytes of a local span of a request that is being posted. The
// front has checked that they lie within an open region, and keeps it mapped
// until posting is over.
func memory(s transport.Span) []byte {
	addr := s.Addr()
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), s.Len())
}

// spanOf is a span of memory that is in no region, for memory. The caller keeps it alive.
func spanOf(mem []byte) transport.Span { return provider.SpanAt(pages.Address(mem), len(mem), 0) }

func addressOfSlot(s *slot) uint64 { return uint64(uintptr(unsafe.Pointer(s))) }
