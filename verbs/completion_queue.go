package verbs

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// Request numbers on the device: queue pair, kind, and the position of the record.
const (
	kindSend = iota
	kindRecv
	kindShared
	kindMarker
)

func requestID(handle uint32, kind uint64, position uint32) uint64 {
	return uint64(handle)<<32 | kind<<positionBits | uint64(position)
}

// batch is how many completions are taken from the device at once.
const batch = 32

// maxMarkers is how many markers, of all connections, a queue has room for.
const maxMarkers = 64

// completionQueue is a completion queue of the device with a completion channel.
type completionQueue struct {
	adapter *Adapter
	cq      *ibv.CQ
	channel *ibv.Channel
	wcs     [batch]ibv.WC

	troubled atomic.Bool // there are watched queue pairs
	nudged   atomic.Bool // a sleeper is to look at the queue
	only     bool        // armed for solicited completions; by the goroutine that polls

	solicited *solicitedWatch // nil if the device needs none
	markers   atomic.Int32

	mu      sync.Mutex
	watched []*queuePair // dead ones that have not settled
	closed  bool

	// Queue pairs that take from shared receive queues, by number: completions of
	// such receives have nothing else. Copied on write.
	sharers atomic.Pointer[map[uint32]*queuePair]
}

// NewCQ implements transport.Adapter.
func (a *Adapter) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	channel, err := a.context.NewChannel()
	if err != nil {
		return nil, err
	}
	cq, err := a.context.NewCQ(int(cfg.Depth)+maxMarkers, channel)
	if err != nil {
		channel.Close()
		return nil, err
	}
	a.open.Opened("completion queue")
	c := &completionQueue{adapter: a, cq: cq, channel: channel}
	c.sharers.Store(&map[uint32]*queuePair{})
	if a.isRXE() {
		c.solicited = newSolicitedWatch(c)
	}
	return c, nil
}

// Poll implements transport.CQ.
func (c *completionQueue) Poll(dst []transport.Completion, spins int) (n int, err error) {
	for {
		if c.troubled.Load() {
			spins = 0 // dead queue pairs are looked at between polls
		}
		room := min(len(dst)-n, batch)
		got, err := c.cq.Poll(c.wcs[:room], spins)
		if err != nil {
			return n, err
		}
		for i := range got {
			if c.translate(&c.wcs[i], &dst[n]) {
				n++
			}
		}
		switch {
		case n == len(dst):
			return n, nil
		case got > 0: // perhaps there is more; do not spin for it
			spins = 0
		case c.troubled.Load():
			return n + c.settle(dst[n:]), nil
		default:
			return n, nil
		}
	}
}

// translate translates a completion of the device. Some have no request:
// markers, and those of destroyed queue pairs.
func (c *completionQueue) translate(wc *ibv.WC, to *transport.Completion) bool {
	position := uint32(wc.WRID) & positionMask
	var q *queuePair
	kind := wc.WRID >> positionBits & 3
	if kind == kindShared {
		q = (*c.sharers.Load())[wc.QPN]
	} else {
		q = c.adapter.pairs.Get(uint32(wc.WRID >> 32))
	}
	if q == nil && kind != kindShared {
		return false
	}
	*to = transport.Completion{}
	switch kind {
	case kindSend:
		r, ok := q.sends.complete(position)
		if !ok {
			return false
		}
		to.ID, to.Op = r.id, r.op
	case kindRecv:
		r, ok := q.receives.complete(position)
		if !ok {
			return false
		}
		to.ID, to.Op = r.id, transport.OpRecv
	case kindShared:
		s := c.adapter.shared.Get(uint32(wc.WRID >> 32))
		if s == nil {
			return false
		}
		to.ID, to.Op = s.complete(position), transport.OpRecv
		if q == nil { // its connection is gone
			return false
		}
	case kindMarker:
		q.markerDone()
		return false
	}
	to.Conn = q.cfg.Conn
	if kind == kindSend {
		to.Status, to.Vendor = status(wc)
	} else {
		to.Status, to.Vendor = receiveStatus(wc)
	}
	if to.Status != transport.StatusOK {
		q.completedWithError(to, wc)
		return true
	}
	if kind != kindSend {
		to.Bytes = wc.ByteLen
		if wc.Opcode == ibv.WCRecvRDMAWithImm {
			to.Op = transport.OpRecvImm
		}
		if wc.WCFlags&ibv.WithImm != 0 {
			to.Imm, to.HasImm = wc.Immediate(), true
		}
	}
	return true
}

// Arm implements transport.CQ.
func (c *completionQueue) Arm(solicitedOnly bool) (ready bool, err error) {
	c.only = solicitedOnly
	return false, c.cq.Arm(solicitedOnly) // the front looks again
}

// Wait implements transport.CQ.
func (c *completionQueue) Wait(ctx context.Context) error {
	if c.nudged.Swap(false) {
		c.channel.Resume()
		return nil
	}
	if c.only && c.solicited != nil {
		c.solicited.begin()
		defer c.solicited.end()
	}
	err := c.channel.Wait(ctx)
	if errors.Is(err, os.ErrClosed) {
		return transport.ErrClosed
	}
	return err
}

// nudge has a sleeper look at the queue.
func (c *completionQueue) nudge() {
	c.nudged.Store(true)
	c.channel.Interrupt()
}

// watch has polls settle a dead queue pair.
func (c *completionQueue) watch(q *queuePair) {
	c.mu.Lock()
	if !c.closed && !slices.Contains(c.watched, q) {
		c.watched = append(c.watched, q)
		c.troubled.Store(true)
	}
	c.mu.Unlock()
	c.nudge()
}

func (c *completionQueue) unwatch(q *queuePair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.watched, q); i >= 0 {
		c.watched = slices.Delete(slices.Clone(c.watched), i, i+1) // settle may be going through it
	}
	c.troubled.Store(len(c.watched) > 0)
}

// settle settles the dead queue pairs. The device's queue was empty.
func (c *completionQueue) settle(dst []transport.Completion) (n int) {
	c.mu.Lock()
	watched := c.watched
	c.mu.Unlock()
	for _, q := range watched {
		n += q.settle(c, dst[n:], true)
	}
	return n
}

// takeMarker reserves room for a marker's completion.
func (c *completionQueue) takeMarker() bool {
	for {
		n := c.markers.Load()
		if n == maxMarkers {
			return false
		}
		if c.markers.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// adopt and disown record the queue pairs that share receives.
func (c *completionQueue) adopt(q *queuePair) {
	c.changeSharers(func(m map[uint32]*queuePair) { m[q.qp.QPN] = q })
}

func (c *completionQueue) disown(q *queuePair) {
	c.changeSharers(func(m map[uint32]*queuePair) {
		if m[q.qp.QPN] == q {
			delete(m, q.qp.QPN)
		}
	})
}

func (c *completionQueue) changeSharers(change func(map[uint32]*queuePair)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := maps.Clone(*c.sharers.Load())
	change(m)
	c.sharers.Store(&m)
}

// Close implements transport.CQ.
func (c *completionQueue) Close() error {
	c.mu.Lock()
	c.closed = true
	watched := slices.Clone(c.watched)
	c.mu.Unlock()
	for _, q := range watched {
		q.abandon()
	}
	err := c.cq.Close()
	c.adapter.open.Closed("completion queue")
	return errors.Join(err, c.channel.Close())
}
