package loopback

import (
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// queuePair is one end of a connection.
type queuePair struct {
	adapter        *adapter
	cfg            transport.QPConfig
	pd             *domain
	sendCQ, recvCQ *completionQueue
	srq            *sharedReceiveQueue    // nil: the queue pair has receives of its own
	recvs          *provider.ReceiveQueue // own or shared
	credits        provider.Credits       // of the send queue
	holds          provider.Holds
	own            *wire // offered to the peer in Connect
	wire           *wire // in use, from Connect on

	// The rest is guarded by the wire's lock.
	broken  bool // in the error state
	closed  bool
	sends   provider.Ring[request]
	posted  uint32 // sends so far
	ended   uint32 // of them
	silent  uint32 // of them, ended without a completion since the last completion
	failure error  // to be reported when the wire is unlocked
}

// request is a posted send-side request that has not ended.
type request struct {
	transport.WorkRequest
	buffer  []byte       // for inline payload; belongs to the entry of the ring
	inline  segments     // the payload, if Inline
	unsound bool         // Inline, and the region was closed while the request was posted
	fault   *pages.Fault // Inline, and the memory was not there
}

func (a *adapter) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	q := &queuePair{
		adapter: a, cfg: cfg, pd: cfg.PD.(*domain),
		sendCQ: cfg.SendCQ.(*completionQueue), recvCQ: cfg.RecvCQ.(*completionQueue),
		credits: provider.NewCredits(cfg.SendDepth),
		sends:   provider.NewRing[request](cfg.SendDepth),
	}
	if cfg.SRQ != nil {
		q.srq = cfg.SRQ.(*sharedReceiveQueue)
		q.recvs = q.srq.recvs
	} else {
		q.recvs = provider.NewReceiveQueue(cfg.RecvDepth)
	}
	for i := range q.sends.Len() {
		q.sends.At(i).buffer = make([]byte, cfg.InlineBytes)
	}
	a.open.Opened("queue pair")
	q.holds.Open(cfg.Drained)
	q.own = &wire{}
	(&wire{}).attach(q) // until Connect, so that Close finds one
	return q, nil
}

func (q *queuePair) PostSend(wrs []transport.WorkRequest) (int, error) {
	n := q.credits.Take(len(wrs))
	q.wire.lock()
	for i := range wrs[:n] {
		q.enqueue(&wrs[i])
	}
	q.advance()
	q.wire.unlock()
	if n < len(wrs) {
		return n, transport.ErrQueueFull
	}
	return n, nil
}

// enqueue copies a request, and its payload if it is inline.
func (q *queuePair) enqueue(wr *transport.WorkRequest) {
	r := q.sends.At(q.posted)
	q.posted++
	*r = request{WorkRequest: *wr, buffer: r.buffer}
	if wr.Flags&transport.Inline == 0 {
		return
	}
	payload, ok := q.pd.local(wr)
	r.inline[0] = r.buffer[:wr.Bytes()]
	r.fault = transfer(r.inline, payload)
	r.unsound = !ok
}

func (q *queuePair) PostRecv(wrs []transport.WorkRequest) (int, error) {
	q.wire.lock()
	n, err := q.recvs.Post(wrs)
	if q.broken {
		q.flushRecvs()
	} else if peer := q.wire.peer(q); peer != nil {
		peer.advance()
	}
	q.wire.unlock()
	return n, err
}

// resume carries out requests that waited for a shared receive.
func (q *queuePair) resume() {
	q.wire.lock()
	q.advance()
	q.wire.unlock()
}

// advance carries out requests until one has to wait. The wire is locked.
func (q *queuePair) advance() {
	if q.broken {
		q.flushSends(transport.StatusFlushed)
		return
	}
	peer := q.wire.peer(q)
	if peer == nil || peer.broken {
		return // Disconnect or Close will end them
	}
	for q.ended != q.posted {
		r := q.sends.At(q.ended)
		o := q.execute(r, peer)
		if o.wait {
			return
		}
		q.completeSend(&r.WorkRequest, o.status)
		if o.status != transport.StatusOK {
			cause := &transport.StatusError{Op: r.Op, ID: r.ID, Status: o.status}
			q.fail(fmt.Errorf("%w: %w", cause, o.why))
			peer.fail(fmt.Errorf("a %v of the peer failed with %q: %w", r.Op, o.status, o.why))
			return
		}
	}
}

// completeSend ends the oldest request of the send queue.
func (q *queuePair) completeSend(wr *transport.WorkRequest, status transport.Status) {
	q.ended++
	q.silent++
	if status == transport.StatusOK && wr.Flags&transport.Signaled == 0 {
		return
	}
	q.sendCQ.push(provider.Completion{
		Completion: transport.Completion{ID: wr.ID, Conn: q.cfg.Conn, Op: wr.Op, Status: status},
		Holds:      &q.holds, Credits: &q.credits, Freed: q.silent,
	}, false)
	q.silent = 0
}

// completeRecv completes a receive with c, to which it adds ID and connection.
func (q *queuePair) completeRecv(wr *transport.WorkRequest, c transport.Completion, solicited bool) {
	c.ID, c.Conn = wr.ID, q.cfg.Conn
	q.recvCQ.push(provider.Completion{Completion: c, Holds: &q.holds, Credits: &q.recvs.Credits, Freed: 1}, solicited)
}

// fail takes the queue pair to the error state, which unlock reports. The wire is locked.
func (q *queuePair) fail(why error) {
	if !q.broken {
		q.failure = why
		q.breakDown(transport.StatusFlushed)
	}
}

// breakDown takes the queue pair to the error state. The oldest send ends with
// the status first, everything else as flushed.
func (q *queuePair) breakDown(first transport.Status) {
	q.broken = true
	q.flushSends(first)
	q.flushRecvs()
}

func (q *queuePair) flushSends(first transport.Status) {
	for status := first; q.ended != q.posted; status = transport.StatusFlushed {
		q.completeSend(&q.sends.At(q.ended).WorkRequest, status)
	}
}

func (q *queuePair) flushRecvs() {
	if q.srq != nil {
		return
	}
	for recv := q.recvs.Take(); recv != nil; recv = q.recvs.Take() {
		q.completeRecv(recv, transport.Completion{Op: transport.OpRecv, Status: transport.StatusFlushed}, false)
	}
}

// Message closes descriptors that a peer should not have sent: loopback has no
// messages.
func (q *queuePair) Message(_ []byte, fds []int) { provider.CloseDescriptors(fds) }

func (q *queuePair) Disconnect(reason error) {
	first := transport.StatusFlushed
	if errors.Is(reason, transport.ErrPeerGone) {
		first = transport.StatusRetryExceeded
	}
	q.wire.lock()
	if !q.broken {
		q.breakDown(first)
	}
	q.wire.unlock()
}

func (q *queuePair) Close() error {
	q.wire.lock()
	again := q.closed
	q.closed = true
	if !q.broken {
		q.breakDown(transport.StatusFlushed)
	}
	peer := q.wire.peer(q)
	q.wire.unlock()
	if again {
		return nil
	}
	if peer != nil && peer.srq != nil {
		peer.srq.forget(q)
	}
	q.adapter.open.Closed("queue pair")
	q.holds.Release()
	return nil
}
