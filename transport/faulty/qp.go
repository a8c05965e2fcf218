package faulty

import (
	"fmt"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// queuePair decorates a queue pair.
type queuePair struct {
	transport.QP
	adapter      *adapter
	conn         uint32
	breaker      transport.Breaker
	disconnected atomic.Bool
	sends        lane
	recvs        *lane // the queue pair's own, or that of its shared receive queue

	// For a slow network.
	late                 late
	sendQueue, recvQueue *slowQueue
	drained              func()

	status    transport.Status          // that a failing request gets
	bad       [1]transport.WorkRequest  // for fail
	injection atomic.Pointer[injection] // of a failure, once there is one
}

// injection is a failure that was injected into a request.
type injection struct {
	op, postedAs transport.Op
	id           uint64
	number       uint64 // of the request on its connection, from 0
}

// statuses are those that an injected failure may have.
var statuses = []transport.Status{
	transport.StatusLocalOperation, transport.StatusRemoteInvalidRequest, transport.StatusRemoteAccess,
	transport.StatusRemoteOperation, transport.StatusRetryExceeded, transport.StatusRNRRetryExceeded, transport.StatusFatal,
}

// Vendor is the Completion.Vendor of an injected failure.
const Vendor = 0xfa17

func (a *adapter) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	q := &queuePair{adapter: a, conn: cfg.Conn}
	var ok bool
	if q.breaker, ok = cfg.Control.(transport.Breaker); !ok && a.cfg.Disconnect > 0 {
		return nil, fmt.Errorf("%w: faulty: disconnect needs a Control that is a Breaker", transport.ErrNotSupported)
	}
	of := func(k kind, chance float64) schedule { return newSchedule(a.cfg.Seed, k, cfg.Conn, chance) }
	q.sends.full, q.sends.disconnect, q.sends.status = of(kindSendFull, a.cfg.QueueFull), of(kindSendDisconnect, a.cfg.Disconnect), of(kindSendStatus, a.cfg.Status)
	q.sends.signaledOnly, q.sends.refused = true, &a.injected.queueFull
	if a.cfg.Status > 0 {
		q.status = statuses[q.sends.status.random.IntN(len(statuses))]
	}
	sendCQ, recvCQ := cfg.SendCQ.(*completionQueue), cfg.RecvCQ.(*completionQueue)
	cfg.SendCQ, cfg.RecvCQ = sendCQ.provider, recvCQ.provider
	q.sendQueue, q.recvQueue = sendCQ.slow, recvCQ.slow
	if cfg.SRQ != nil {
		shared := cfg.SRQ.(*sharedReceive)
		cfg.SRQ, q.recvs, q.recvQueue = shared.SRQ, &shared.recvs, shared.slow
	} else {
		q.recvs = &lane{refused: &a.injected.recvFull, full: of(kindRecvFull, a.cfg.RecvFull), disconnect: of(kindRecvDisconnect, a.cfg.Disconnect), status: unhit}
	}
	failed, drained := cfg.Failed, cfg.Drained
	cfg.Failed = func(err error) { failed(q.explain(err)) }
	q.drained = func() {
		a.forgetLater(q)
		drained()
	}
	cfg.Drained = q.drained
	if a.cfg.slow() {
		q.late.init(a, &cfg)
		cfg.Drained = func() { a.drainedLate(q) }
	}
	inner, err := a.Adapter.NewQP(cfg)
	if err != nil {
		return nil, err
	}
	q.QP, q.sends.take = inner, inner.PostSend
	if a.cfg.slow() {
		q.sends.take = q.postLate
	}
	if cfg.SRQ == nil {
		q.recvs.take = inner.PostRecv
	}
	a.remember(q)
	return q, nil
}

func (q *queuePair) PostSend(wrs []transport.WorkRequest) (int, error) {
	for done := 0; ; {
		n, err := q.sends.advance(wrs[done:])
		done += n
		if err != nil || done == len(wrs) {
			return done, err
		}
		if q.sends.refuses() {
			return done, transport.ErrQueueFull
		}
		q.disconnectIfHit(&q.sends)
		if q.sends.status.at == q.sends.posted {
			n, err := q.fail(&wrs[done])
			if done += n; err != nil {
				return done, err
			}
		}
	}
}

func (q *queuePair) PostRecv(wrs []transport.WorkRequest) (int, error) {
	for done := 0; ; {
		n, err := q.recvs.advance(wrs[done:])
		done += n
		if err != nil || done == len(wrs) {
			return done, err
		}
		if q.recvs.refuses() {
			return done, transport.ErrQueueFull
		}
		q.disconnectIfHit(q.recvs)
	}
}

// disconnectIfHit cuts the connection if the lane's next request is hit.
func (q *queuePair) disconnectIfHit(l *lane) {
	if l.disconnect.hits(l.posted) && q.disconnected.CompareAndSwap(false, true) {
		q.adapter.injected.disconnect.Add(1)
		q.breaker.Break(q.adapter.errorf("connection %d cut before request %d of a queue", q.conn, l.posted))
	}
}

// fail posts a request so that it fails for real, at both ends. It returns how
// many requests it posted, 0 if this one has to be spared.
func (q *queuePair) fail(wr *transport.WorkRequest) (int, error) {
	if wr.Bytes() == 0 {
		q.sends.status.at++ // no bytes, no rkey to be refused
		return 0, nil
	}
	q.bad[0] = *wr
	bad := &q.bad[0]
	if bad.Op == transport.OpSend {
		bad.Op = transport.OpWrite
	}
	// No region is at address 8, under whatever key.
	bad.Remote = transport.RemoteSpan{Addr: 8, Len: uint32(wr.Bytes()), Key: wr.Remote.Key}
	q.injection.Store(&injection{op: wr.Op, postedAs: bad.Op, id: wr.ID, number: q.sends.posted})
	n, err := q.sends.forward(q.bad[:])
	if n == 0 {
		q.injection.Store(nil)
		return 0, err
	}
	q.sends.status = unhit
	return n, err
}

// observe counts a completion, and sets the status of an injected failure.
func (q *queuePair) observe(c *transport.Completion) {
	if c.Op == transport.OpRecv || c.Op == transport.OpRecvImm {
		q.recvs.pending.Add(-1)
		return
	}
	q.sends.pending.Add(-1)
	if c.Status == transport.StatusOK {
		return
	}
	i := q.injection.Load()
	if i == nil || c.ID != i.id || c.Op != i.postedAs {
		return
	}
	c.Op = i.op
	if c.Status == transport.StatusRemoteAccess {
		c.Status, c.Vendor = q.status, Vendor
		q.adapter.injected.status.Add(1)
	}
}

// explain adds the injected fault to the reason why the connection failed.
func (q *queuePair) explain(err error) error {
	if i := q.injection.Load(); i != nil {
		return fmt.Errorf("%w (which was %w)", err,
			q.adapter.errorf("%v, for request %d of connection %d (%v, id %d)", q.status, i.number, q.conn, i.op, i.id))
	}
	return err
}

// remember keeps a queue pair until it is drained.
func (a *adapter) remember(q *queuePair) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drained.Lock()
	defer a.drained.Unlock()
	for _, old := range a.drained.queuePairs {
		if a.queuePairs[old.conn] == old {
			delete(a.queuePairs, old.conn)
		}
	}
	a.drained.queuePairs = a.drained.queuePairs[:0]
	a.queuePairs[q.conn] = q
}

// forgetLater forgets a queue pair when the next one is made: its last
// completion may still be passing through observe.
func (a *adapter) forgetLater(q *queuePair) {
	a.drained.Lock()
	a.drained.queuePairs = append(a.drained.queuePairs, q)
	a.drained.Unlock()
}
