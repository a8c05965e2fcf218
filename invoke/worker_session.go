package invoke

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// session is a worker's side of one client. After admission it belongs to the
// worker's loop.
type session struct {
	id       uint64 // of its receives: generation and index, see sessionID
	layout   layout
	domain   *transport.ProtectionDomain
	conn     *transport.Conn
	requests *transport.Region // written by the client
	staging  *transport.Region // replies are made here
	slots    []workerSlot
	meter    Meter
	peer     string // for logs

	receives    []transport.WorkRequest // as many as are reposted at once
	taken       int                     // receives used and not reposted
	sent        int                     // sends since the last signaled one
	signalEvery int
	inlineBytes uint32

	cancels    cancels
	executions sync.WaitGroup // beside the loop

	memory     *memoryPool   // for calls beyond the slots
	rendezvous []*rendezvous // such calls, the oldest first
	offered    int           // those whose results the client reads

	backlog      []transport.WorkRequest // replies that could not be posted yet
	backlogSince int64                   // by now()
}

// workerSlot holds a request and its reply.
type workerSlot struct {
	id         uint64        // of the slot's last call
	given      atomic.Uint64 // the call that the client gave up last, see cancels
	expired    atomic.Bool   // because its deadline had passed there
	running    atomic.Uint64 // of the call whose function runs, callMark, or 0
	told       atomic.Uint64 // the last one that WorkerConfig.Canceled was called for
	session    *session
	execution  *execution  // of that call, if it runs beside the loop
	rendezvous *rendezvous // of that call, if it is not answered and went beyond the slot
	header     *[headerBytes]byte
	input      []byte
	reply      *[headerBytes]byte
	result     []byte
	local      transport.Span       // reply and result
	returned   transport.RemoteSpan // where the reply goes unless the request says otherwise
}

// givenUp says whether the client has given the slot's last call up.
func (s *workerSlot) givenUp() bool { return s.given.Load() == callMark(s.id) }

// whyGivenUp is the reason.
func (s *workerSlot) whyGivenUp() error {
	if s.expired.Load() {
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// sessionID tells the completions of a session from those of its predecessors with
// the same index.
func sessionID(generation uint32, index int) uint64 { return uint64(generation)<<32 | uint64(index) }

// An index has 16 bits. Requests that move parts of a payload have the slot's index
// plus one behind it, those of replies nothing.
func partID(session uint64, slot uint32) uint64 { return session | uint64(slot+1)<<16 }

func sessionOf(id uint64) uint64 { return id &^ (1<<32 - 1<<16) }

func partOf(id uint64) (slot uint32) { return uint32(id)>>16 - 1 }

func indexOf(id uint64) uint32 { return uint32(id) & (1<<16 - 1) }

// newSession makes what a client that said h needs, but the connection.
func newSession(dev *transport.Device, grant layout, h hello, beyond rendezvousLimits) (*session, error) {
	s := &session{layout: grant, signalEvery: grant.signalEvery(), inlineBytes: uint32(min(dev.Capabilities().MaxInlineBytes, mostInlineBytes))}
	err := s.allocate(dev)
	if err != nil {
		s.free()
		return nil, err
	}
	s.memory = beyond.newMemory(s.domain)
	s.slots = make([]workerSlot, grant.slots)
	for i := range s.slots {
		slot := &s.slots[i]
		slot.session = s
		slot.id = h.firstID + uint64(i) - uint64(grant.slots) // before the first
		slot.header, slot.input = grant.at(s.requests.Bytes(), i)
		slot.reply, slot.result = grant.at(s.staging.Bytes(), i)
		slot.local = grant.span(s.staging, i)
		slot.returned = h.layout.remote(h.region, i)
		slot.returned.Len = uint32(headerBytes + grant.slotBytes)
	}
	return s, nil
}

func (s *session) allocate(dev *transport.Device) (err error) {
	if s.domain, err = dev.NewProtectionDomain(); err != nil {
		return err
	}
	// Held, because the device may be closed while a function uses them.
	if s.requests, err = allocHeld(s.domain, s.layout.bytes(), transport.RemoteWrite); err != nil {
		return err
	}
	s.staging, err = allocHeld(s.domain, s.layout.bytes(), transport.LocalOnly)
	return err
}

// accept makes the connection.
func (s *session) accept(ctx context.Context, r *transport.Request, w *Worker, authorize func(context.Context, transport.Peer) error) error {
	s.cancels.init(s.slots, w.cfg.Canceled)
	depth := s.layout.depth()
	answer := hello{version: Version, layout: s.layout, rendezvousBytes: uint64(w.rendezvous.call), region: s.layout.remote(s.requests.Remote(0, headerBytes), 0)}
	conn, err := r.Accept(ctx, transport.ConnConfig{
		Domain: s.domain, SendQueue: w.sendQueue, RecvQueue: w.requestQueue,
		SendDepth: depth + rendezvousDepth, RecvDepth: depth, InlineBytes: int(s.inlineBytes),
		PrivateData: answer.encode(), Authorize: authorize, Notified: s.cancels.notified,
	})
	if err != nil {
		return err
	}
	s.conn, s.peer = conn, conn.Peer().String()
	return nil
}

// open gives the session its id and posts its first receives.
func (s *session) open(id uint64) error {
	s.id = id
	s.receives = receives(s.layout.restock(), id)
	s.taken = s.layout.depth()
	return s.repost()
}

// repost replaces the receives that requests have used, many at once.
func (s *session) repost() error {
	for s.taken >= len(s.receives) {
		n, err := s.conn.PostRecv(s.receives...)
		s.taken -= n
		if err != nil {
			return err
		}
	}
	return nil
}

// announceDrain tells the client that the worker takes no more calls. It does not wait.
func (s *session) announceDrain() {
	_ = s.conn.Notify([]byte{noticeDrain}) // an error means that it has no stream
}

// free ends the connection and frees the memory, in this order: see "The end of
// a right" in package transport. Functions that run beside the loop are told by their
// contexts, and waited for.
func (s *session) free() error {
	var errs []error
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	s.executions.Wait()
	if s.memory != nil {
		s.memory.close()
	}
	if s.domain != nil {
		errs = append(errs, s.domain.Close())
	}
	if s.memory != nil {
		s.memory.releaseBudget()
	}
	for _, r := range []*transport.Region{s.requests, s.staging} {
		if r != nil {
			r.Release()
		}
	}
	return errors.Join(errs...)
}
