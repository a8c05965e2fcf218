package transporttest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// streamArgs describe a stream of requests of one kind on one connection, whose
// send queue completes into a queue of its own. Request i, counted from 1, uses
// slot i modulo Depth+1, and its payload begins with i, if it has 8 bytes. With
// one slot more than there are requests outstanding, the next one's is free.
type streamArgs struct {
	Loop  loopArgs
	Op    transport.Op
	From  handle               // Depth+1 slots of Bytes
	To    transport.RemoteSpan // the same, or the word of an atomic
	Bytes int
	Depth int // SendDepth of the connection
	Count int // how many requests; 0: until it is stopped or fails
	Stop  handle
}

// streamResult is how a stream ended. Each request ended as it must.
type streamResult struct {
	Posted, OK int                  // OK: up to the last that completed well
	Failure    transport.Completion // the first that failed, if one did
	Flushed    int                  // that one, and the flushed ones after it
}

// streamRequests posts as fast as the connection takes it.
var streamRequests = define("stream", func(a *agent, args streamArgs) (streamResult, error) {
	s := &stream{
		loop: a.loop(args.Loop), streamArgs: args, ledger: newLedger(args.Depth),
		stop: find[*stopSign](a, args.Stop), from: get[*transport.Region](a, args.From),
	}
	err := catch(s.run)
	if err != nil {
		err = fmt.Errorf("stream of %v, %d posted, %d ended: %w", args.Op, s.ledger.posted, s.ledger.ended, err)
	}
	return streamResult{
		Posted: int(s.ledger.posted), OK: int(s.ledger.ended) - s.ledger.flushed,
		Failure: s.ledger.failure, Flushed: s.ledger.flushed,
	}, err
})

type stream struct {
	*loop
	streamArgs
	stop    *stopSign
	from    *transport.Region
	ledger  *ledger
	pending transport.WorkRequest // built and not yet taken
	got     [16]transport.Completion
}

// run posts and polls until everything that was posted has ended.
func (s *stream) run() {
	var idle pause
	for over := false; !over || !s.ledger.settled(); {
		over = over || s.ledger.failed() || s.stop.raised() || s.allPosted()
		posted := 0
		if !over {
			posted, over = s.postSome()
		}
		polled := s.ledger.poll(s.sent, s.got[:])
		check(idle.after(posted+polled > 0, s.patience, "anything"))
	}
}

func (s *stream) allPosted() bool { return s.Count > 0 && int(s.ledger.posted) >= s.Count }

// postSome posts until the queue is full or enough was posted for one turn. It
// returns how many requests were taken, and whether the connection is closed.
func (s *stream) postSome() (n int, closed bool) {
	const turn = 16
	for n < turn && !s.allPosted() {
		if s.pending.Op == transport.OpInvalid {
			s.build()
		}
		_, err := s.conn.Post(s.pending)
		switch {
		case errors.Is(err, transport.ErrQueueFull):
			return n, false
		case errors.Is(err, transport.ErrClosed):
			return n, true
		}
		check(err)
		s.ledger.post(s.pending.Flags&transport.Signaled != 0)
		s.pending.Op = transport.OpInvalid
		n++
	}
	return n, false
}

// build makes the next request.
func (s *stream) build() {
	id := s.ledger.next()
	slot := int(id % uint64(s.Depth+1))
	local, to := s.from.Span(slot*s.Bytes, s.Bytes), s.To
	switch s.Op {
	case transport.OpWrite, transport.OpWriteImm, transport.OpRead:
		to = to.Slice(slot*s.Bytes, s.Bytes)
	}
	s.pending = numbered(id, s.Op, local, to).With(transport.Signaled)
	if s.Bytes >= 8 && (s.Op == transport.OpSend || s.Op == transport.OpWrite || s.Op == transport.OpWriteImm) {
		binary.LittleEndian.PutUint64(s.from.Bytes()[slot*s.Bytes:], id)
	}
}

// stream starts a stream of n requests on the side's connection, n = 0 for an
// endless one. To is not used for sends.
func (s side) stream(op transport.Op, to transport.RemoteSpan, bytes, n int, stop handle) *future[streamResult] {
	s.t.Helper()
	return streamRequests.start(s.end, streamArgs{
		Loop: s.loopArgs(), Op: op, From: s.streamMemory(bytes, transport.LocalOnly).id, To: to,
		Bytes: bytes, Depth: s.sendDepth, Count: n, Stop: stop,
	})
}

// streamMemory allocates what a stream of requests of the given size needs at
// one end.
func (s side) streamMemory(bytes int, access transport.Access) region {
	s.t.Helper()
	return s.alloc((s.sendDepth+1)*bytes, access)
}
