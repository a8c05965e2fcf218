package rc

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// sendQueue is the ring of the requests that have not ended. They go through it
// in order: posted, begun (they have packet numbers), sent, ended.
type sendQueue struct {
	requests    []request
	mask        uint32
	inline      []byte // payload of inline requests, inlineBytes for each entry of the ring
	inlineBytes int

	_      [64]byte
	posted atomic.Uint32 // by the goroutine that posts
	_      [64]byte

	// The driver's.
	head   uint32 // the oldest one that has not ended
	cursor uint32 // the one to be sent from next; there is none when it is posted
	begun  uint32 // the first one that has not begun
	silent int    // requests that ended since the last Sink.Sent
}

// request is a request of the send queue.
type request struct {
	transport.WorkRequest
	first   sequence // its first packet, once begun
	message sequence // its message number, once begun; the first of them for a READ in parts
	bytes   uint32
	packets uint32 // how many packet numbers it takes
	unsound bool   // its memory was not there when it was posted (inline), or to be sent
	faulted bool   // because of a fault
}

// end is the number of the packet after its last one.
func (r *request) end() sequence { return r.first + sequence(r.packets) }

// awaitsResponse reports whether an acknowledgement is not enough.
func (r *request) awaitsResponse() bool {
	return r.Op == transport.OpRead || r.Op == transport.OpFetchAdd || r.Op == transport.OpCompareSwap
}

func (s *sendQueue) init(depth, inlineBytes int) {
	size := ringSize(depth)
	s.requests = make([]request, size)
	s.mask = uint32(size - 1)
	s.inline = make([]byte, size*inlineBytes)
	s.inlineBytes = inlineBytes
}

func (s *sendQueue) at(index uint32) *request { return &s.requests[index&s.mask] }

// Post adds a request to the send queue: one of OpSend, OpWrite, OpWriteImm,
// OpRead, OpFetchAdd and OpCompareSwap that is valid, as the front of transport
// guarantees, of at most MaxMessageBytes. The caller posts only while fewer
// than SendDepth entries are in use: Sink.Sent frees them.
//
// The request is copied, and its payload, too, if it is Inline; other memory is
// the queue pair's until the request ended. Post may be called while the driver
// calls other methods, by one goroutine at a time; then Next is to be called.
func (q *QueuePair) Post(wr *transport.WorkRequest) {
	s := &q.sends
	tail := s.posted.Load()
	r := s.at(tail)
	r.WorkRequest = *wr
	r.bytes = uint32(wr.Bytes())
	r.packets = q.packetsOf(r.bytes)
	r.unsound, r.faulted = false, false
	if wr.Flags&transport.Inline != 0 {
		r.unsound = !q.copyPayload(s.inlineAt(tail), r)
	}
	s.posted.Store(tail + 1)
}

// inlineAt is where the payload of an inline request is kept.
func (s *sendQueue) inlineAt(index uint32) []byte {
	return s.inline[int(index&s.mask)*s.inlineBytes:][:s.inlineBytes]
}

// finish ends the oldest request.
func (q *QueuePair) finish(status transport.Status) {
	s := &q.sends
	r := s.at(s.head)
	s.head++
	s.silent++
	if status == transport.StatusOK && r.Flags&transport.Signaled == 0 {
		return
	}
	c := transport.Completion{ID: r.ID, Conn: q.cfg.Conn, Op: r.Op, Status: status}
	entries := s.silent
	s.silent = 0
	q.cfg.Sink.Sent(c, entries)
}

// flush ends all requests, the oldest with the status first and the others as
// flushed.
func (q *QueuePair) flush(first transport.Status) {
	s := &q.sends
	for status := first; s.head != s.posted.Load(); status = transport.StatusFlushed {
		q.finish(status)
	}
}
