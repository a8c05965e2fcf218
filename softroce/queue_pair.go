package softroce

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/softroce/internal/rc"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// queuePair is one end of a connection: a state machine of package rc, and what
// the program and the engine need around it.
type queuePair struct {
	engine         *engine
	cfg            transport.QPConfig
	domain         domain
	sendCQ, recvCQ *completionQueue
	receives       *receiveQueue // own or shared

	// Set by Connect.
	qpn     uint32
	peer    netip.AddrPort
	machine *rc.QueuePair
	to      destination
	from    source
	tellAll bool // roceaddr.Address.Tell

	dead   atomic.Bool // in the error state
	closed atomic.Bool // nothing will be pushed any more

	// Guarded by the engine lock.
	isReady   bool
	nextReady *queuePair
	timer     int  // index in engine.timers, plus 1
	isLazy    bool // in engine.lazy
	starved   bool // in receives.starved

	peerCloses bool       // the peer has announced it
	sendError  unix.Errno // why the kernel refused a message to the peer, since the peer was last heard of

	// For the holder of the engine lock.
	isPosted   atomic.Bool
	nextPosted *queuePair

	_           [64]byte
	sendCredits provider.Credits
	holds       provider.Holds
	_           [64]byte
}

// NewQP implements transport.Adapter.
func (a *Adapter) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	q := &queuePair{
		engine: a.engine, cfg: cfg, domain: cfg.PD.(domain),
		sendCQ: cfg.SendCQ.(*completionQueue), recvCQ: cfg.RecvCQ.(*completionQueue),
		sendCredits: provider.NewCredits(cfg.SendDepth),
	}
	if cfg.SRQ != nil {
		q.receives = cfg.SRQ.(*sharedReceiveQueue).queue
	} else {
		q.receives = newReceiveQueue(cfg.RecvDepth, false)
	}
	q.holds.Open(cfg.Drained)
	a.open.Opened("queue pair")
	return q, nil
}

// PostSend implements transport.QP.
func (q *queuePair) PostSend(wrs []transport.WorkRequest) (int, error) {
	n := q.sendCredits.Take(len(wrs))
	for i := range n {
		q.machine.Post(&wrs[i])
	}
	if n > 0 {
		q.engine.posted(q)
	}
	if n < len(wrs) {
		return n, transport.ErrQueueFull
	}
	return n, nil
}

// PostRecv implements transport.QP.
func (q *queuePair) PostRecv(wrs []transport.WorkRequest) (int, error) {
	n, err := q.receives.Post(wrs)
	switch {
	case q.dead.Load():
		q.engine.Lock()
		q.flushReceives()
		q.engine.Unlock()
	case q.receives.Starved.Load():
		q.engine.feed(q.receives)
	}
	return n, err
}

// Take and Posted implement rc.Receives.
func (q *queuePair) Take() (wr transport.WorkRequest, ok bool) {
	first := q.receives.take(q)
	if first == nil {
		return wr, false
	}
	return *first, true
}

// Posted implements rc.Receives.
func (q *queuePair) Posted() int {
	if q.receives.shared {
		return -1
	}
	return q.receives.Posted()
}

// Sent implements rc.Sink.
func (q *queuePair) Sent(c transport.Completion, credits int) {
	q.sendCQ.Push(provider.Completion{Completion: c, Holds: &q.holds, Credits: &q.sendCredits, Freed: uint32(credits)}, false)
}

// Received implements rc.Sink.
func (q *queuePair) Received(_ *transport.WorkRequest, c transport.Completion, solicited bool) {
	q.recvCQ.Push(provider.Completion{Completion: c, Holds: &q.holds, Credits: &q.receives.Credits, Freed: 1}, solicited)
}

// Failed implements rc.Sink.
func (q *queuePair) Failed(reason error, tell bool) {
	reason = q.explainLoss(reason)
	if tell || q.tellAll {
		q.cfg.Control.Send(roceaddr.Message{Kind: roceaddr.Failed, Reason: reason.Error()}.Encode(), nil)
	}
	q.enterError()
	q.cfg.Failed(reason)
}

// enterError flushes the receives, and has those posted later flushed. The caller
// holds the engine lock.
func (q *queuePair) enterError() {
	q.dead.Store(true)
	q.receives.forget(q)
	q.flushReceives()
}

func (q *queuePair) flushReceives() {
	if q.receives.shared {
		return
	}
	for wr := q.receives.Take(); wr != nil; wr = q.receives.Take() {
		q.Received(wr, transport.Completion{ID: wr.ID, Conn: q.cfg.Conn, Op: transport.OpRecv, Status: transport.StatusFlushed}, false)
	}
}

// fail takes the queue pair to the error state for a reason outside the
// protocol. The caller holds the engine lock.
func (q *queuePair) fail(reason error, first transport.Status) {
	if q.machine != nil {
		q.machine.Fail(reason, first)
	}
	if !q.dead.Load() {
		q.enterError()
	}
}

// Message implements transport.QP.
func (q *queuePair) Message(msg []byte, fds []int) {
	provider.CloseDescriptors(fds)
	m, err := roceaddr.DecodeMessage(msg)
	q.engine.Lock()
	defer q.engine.Unlock()
	if q.closed.Load() {
		return
	}
	switch {
	case q.dead.Load():
	case err != nil:
		err = fmt.Errorf("%w: %w", transport.ErrInvalid, err)
		q.fail(err, transport.StatusFatal)
		q.cfg.Failed(err)
	case m.Kind == roceaddr.Failed:
		q.engine.drainSocket(q) // what arrived before still counts
		if !q.dead.Load() {
			err := m.PeerFailed()
			q.fail(err, transport.StatusFlushed)
			q.cfg.Failed(err)
		}
	case m.Kind == roceaddr.Closing && !q.peerCloses:
		q.peerCloses = true
		if q.engine.drainSocket(q); !q.closed.Load() {
			q.machine.PeerDelivered(m.PSN)
		}
	}
}

// Disconnect implements transport.QP.
func (q *queuePair) Disconnect(reason error) {
	first := transport.StatusFlushed
	if errors.Is(reason, transport.ErrPeerGone) {
		first = transport.StatusRetryExceeded
	}
	q.engine.Lock()
	defer q.engine.Unlock()
	if q.closed.Load() {
		return
	}
	q.engine.drainSocket(q) // what arrived before is still delivered
	if !q.closed.Load() {
		q.fail(reason, first)
	}
}

// Close implements transport.QP.
func (q *queuePair) Close() error {
	e := q.engine
	e.Lock()
	if q.closed.Load() {
		e.Unlock()
		return nil
	}
	if q.machine != nil && !q.dead.Load() {
		// The peer learns what was completed here by an acknowledgement or, if
		// that is lost, by the stream.
		e.send(q, true)
		e.out.flush()
		q.cfg.Control.Send(roceaddr.Message{Kind: roceaddr.Closing, PSN: q.machine.Delivered()}.Encode(), nil)
	}
	q.fail(transport.ErrClosed, transport.StatusFlushed)
	e.forget(q)
	q.closed.Store(true)
	q.holds.Release()
	e.Unlock()
	e.adapter.open.Closed("queue pair")
	return nil
}

// destination is what sending to the peer needs.
type destination struct {
	name  sockaddr
	flow  wire.Flow
	qpn   uint32
	whole bool // no segmentation offload
}

// source is what the peer's packets have to come from.
type source struct {
	addr netip.Addr            // without a zone
	last unix.RawSockaddrInet6 // where the last one came from
	port uint16                // its port
	flow wire.Flow
	// pinned: all come from port. rxe and adapters choose ports as they like.
	pinned bool
}
