package verbs

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// queuePair is one end of a connection: a queue pair of the device, and the
// records of its requests.
//
// Its end has three steps. It dies, by an error, with the peer or by Close: the
// device flushes its requests, and later ones are flushed here. It settles, as its
// completions are polled. When it is closed and settled, the device's queue pair is
// destroyed: not before, because that may discard completions that were not polled.
type queuePair struct {
	adapter        *Adapter
	cfg            transport.QPConfig
	qp             *ibv.QP
	sendCQ, recvCQ *completionQueue
	handle         uint32
	sends          *outstanding
	receives       *outstanding // nil with a shared receive queue

	dead    atomic.Bool
	failing sync.Once
	gone    atomic.Bool // the device completes nothing any more

	patrolled uint32 // sends done with at the last patrol

	mu        sync.Mutex // guards what follows, and the end of qp
	own, peer roceaddr.Address
	closed    bool
	destroyed bool
	drained   bool
	marking   bool   // a marker is with the device
	marker    uint32 // the records before it
}

// spans is how many local spans a request can have.
const spans = 2

// markerEntries are entries of a device's send queue for markers.
const markerEntries = 1

// NewQP implements transport.Adapter.
func (a *Adapter) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	q := &queuePair{
		adapter: a, cfg: cfg, sendCQ: cfg.SendCQ.(*completionQueue), recvCQ: cfg.RecvCQ.(*completionQueue),
		sends: newOutstanding(cfg.SendDepth),
	}
	init := ibv.QPInit{
		SendCQ: q.sendCQ.cq, RecvCQ: q.recvCQ.cq,
		SendDepth: int(cfg.SendDepth) + markerEntries, SGEs: spans, InlineBytes: int(cfg.InlineBytes),
	}
	if cfg.SRQ != nil {
		init.SRQ = cfg.SRQ.(*sharedReceiveQueue).srq
	} else {
		init.RecvDepth = int(cfg.RecvDepth)
		q.receives = newOutstanding(cfg.RecvDepth)
	}
	qp, err := cfg.PD.(*domain).newQP(init)
	if err != nil {
		return nil, err
	}
	q.qp = qp
	if q.handle, err = a.pairs.Add(q, 0); err != nil {
		cfg.PD.(*domain).closeQP(qp)
		return nil, fmt.Errorf("%w: %w", transport.ErrOutOfRange, err)
	}
	if q.receives == nil {
		q.recvCQ.adopt(q)
	}
	a.open.Opened("queue pair")
	return q, nil
}

// ends are the two ends of the connection, zero before they are known.
func (q *queuePair) ends() (own, peer roceaddr.Address) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.own, q.peer
}

// PostSend implements transport.QP.
func (q *queuePair) PostSend(wrs []transport.WorkRequest) (int, error) {
	return q.post(wrs, q.sends, q.sendCQ, kindSend, q.qp.PostSend)
}

// PostRecv implements transport.QP.
func (q *queuePair) PostRecv(wrs []transport.WorkRequest) (int, error) {
	n, err := q.post(wrs, q.receives, q.recvCQ, kindRecv, q.qp.PostRecv)
	if q.dead.Load() && n > 0 {
		// A driver may look for receives to flush only when the queue pair enters the
		// error state.
		q.toError()
	}
	return n, err
}

func (q *queuePair) post(wrs []transport.WorkRequest, o *outstanding, c *completionQueue, kind uint64, hand func([]transport.WorkRequest, uint64) (int, error)) (int, error) {
	n := min(len(wrs), o.room())
	if n > 0 {
		dead := q.dead.Load()
		first := o.add(wrs[:n])
		if dead {
			o.withhold(first)
			o.hand()
			c.nudge()
		} else {
			got, err := hand(wrs[:n], requestID(q.handle, kind, first&positionMask))
			if err != nil { // there is room, so the device failed
				o.withhold(first + uint32(got))
				q.fail(err, true)
			}
			o.hand()
		}
	}
	if n < len(wrs) {
		return n, transport.ErrQueueFull
	}
	return n, nil
}

// Message implements transport.QP.
func (q *queuePair) Message(msg []byte, fds []int) {
	provider.CloseDescriptors(fds)
	m, err := roceaddr.DecodeMessage(msg)
	switch {
	case err != nil:
		q.fail(fmt.Errorf("%w: %w", transport.ErrInvalid, err), false)
	case m.Kind == roceaddr.Failed:
		// A completion with the reason may be about to come.
		time.AfterFunc(refusalTakes, func() {
			q.fail(m.PeerFailed(), false)
		})
	}
}

// refusalTakes is how long after the peer's message a request that it refused
// just before may complete.
const refusalTakes = 200 * time.Millisecond

// Disconnect implements transport.QP. What arrived before has its completions in
// the queue already.
func (q *queuePair) Disconnect(error) { q.die() }

// fail ends the connection for a reason found here, and notifies the peer if no
// packet does.
func (q *queuePair) fail(reason error, tell bool) {
	q.failing.Do(func() {
		if q.dead.Load() {
			return // the front has the reason
		}
		if tell {
			q.tellPeer(reason)
		}
		q.cfg.Failed(reason)
	})
	q.die()
}

// failQuietly is fail, but the front gets the reason later.
func (q *queuePair) failQuietly(reason error) {
	q.failing.Do(func() { q.tellPeer(reason) })
	q.die()
}

func (q *queuePair) tellPeer(reason error) {
	q.cfg.Control.Send(roceaddr.Message{Kind: roceaddr.Failed, Reason: reason.Error()}.Encode(), nil)
}

// die takes the queue pair to the error state, from anywhere.
func (q *queuePair) die() {
	if q.dead.Swap(true) {
		return
	}
	q.toError()
	q.sendCQ.watch(q)
	q.recvCQ.watch(q)
}

// toError has the device flush its requests.
func (q *queuePair) toError() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.destroyed {
		return
	}
	if err := q.qp.ToError(); err != nil {
		q.gone.Store(true) // the device is
	}
}

// Close implements transport.QP.
func (q *queuePair) Close() error {
	if _, peer := q.ends(); !q.dead.Load() && peer.QPN != 0 {
		// Messages that arrived may not be acknowledged any more.
		if state, err := q.qp.Query(); err == nil {
			q.cfg.Control.Send(roceaddr.Message{Kind: roceaddr.Closing, PSN: state.RQPSN}.Encode(), nil)
		}
	}
	q.die()
	q.mu.Lock()
	q.closed = true
	err := q.destroyIfSettled()
	q.mu.Unlock()
	q.sendCQ.nudge()
	q.recvCQ.nudge()
	q.adapter.open.Closed("queue pair")
	return err
}

// settle advances the end of a dead queue pair and stores flushed completions into
// dst. By the goroutine that polls c. empty: the device's queue had nothing more.
func (q *queuePair) settle(c *completionQueue, dst []transport.Completion, empty bool) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := empty && (q.gone.Load() || q.destroyed)
	if q.drained {
		return 0
	}
	if c == q.sendCQ {
		n = q.flushed(dst, q.sends, all)
		q.mark()
	}
	if c == q.recvCQ {
		if q.receives != nil {
			n += q.flushed(dst[n:], q.receives, all)
		} else if all {
			q.drain()
		}
	}
	q.destroyIfSettled()
	return n
}

func (q *queuePair) flushed(dst []transport.Completion, o *outstanding, all bool) (n int) {
	for n < len(dst) {
		r, ok := o.next(all)
		if !ok {
			break
		}
		dst[n] = transport.Completion{ID: r.id, Conn: q.cfg.Conn, Op: r.op, Status: transport.StatusFlushed}
		n++
	}
	return n
}

// mark posts a marker behind what the device has: requests before it that do not
// complete have succeeded silently. By the goroutine that polls sendCQ, holding mu.
func (q *queuePair) mark() {
	handed := q.sends.handed.Load()
	if q.marking || q.destroyed || q.gone.Load() || q.sends.empty() || q.sends.isWithheld(q.sends.freed.Load()) ||
		handed == q.sends.marked || !q.sendCQ.takeMarker() {
		return
	}
	q.marker = handed
	if err := q.qp.PostMarker(requestID(q.handle, kindMarker, 0)); err != nil {
		q.sendCQ.markers.Add(-1)
		q.gone.Store(true)
		return
	}
	q.marking = true
}

// markerDone is called when the marker's completion was polled.
func (q *queuePair) markerDone() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sendCQ.markers.Add(-1)
	q.marking = false
	q.sends.marked = q.marker
}

// destroyIfSettled ends the device's queue pair when nothing of it is left to be
// polled. The caller holds mu.
func (q *queuePair) destroyIfSettled() (err error) {
	if !q.closed || q.drained || q.marking || !q.sends.empty() || q.receives != nil && !q.receives.empty() {
		return nil
	}
	err = q.destroy()
	if q.receives != nil {
		q.drain()
	} // else when recvCQ is seen to be empty
	return err
}

// destroy ends the device's queue pair. The caller holds mu.
func (q *queuePair) destroy() error {
	if q.destroyed {
		return nil
	}
	q.destroyed = true
	return q.cfg.PD.(*domain).closeQP(q.qp)
}

// drain reports the queue pair as drained. The caller holds mu.
func (q *queuePair) drain() {
	q.drained = true
	q.adapter.pairs.Remove(q.handle)
	q.sendCQ.unwatch(q)
	q.recvCQ.unwatch(q)
	if q.receives == nil {
		q.recvCQ.disown(q)
	}
	q.cfg.Drained()
}

// abandon drops what is left to be polled, because a completion queue is being
// closed. The connection was closed before.
func (q *queuePair) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.drained {
		return
	}
	q.destroy()
	q.drain()
}
