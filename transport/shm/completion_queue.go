package shm

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// completionQueue gathers the completions of its queue pairs by looking at
// them; it holds only what the background side received in the program's
// absence.
type completionQueue struct {
	adapter *adapter
	owner   *transport.Owner
	bell    *bell
	depth   int
	closed  atomic.Bool
	asleep  atomic.Uint32 // asleep*

	members atomic.Pointer[[]member] // replaced on every change
	change  sync.Mutex               // of members

	watching atomic.Bool // a look at unacknowledged messages is scheduled

	_       [lineBytes]byte // what follows belongs to owner
	turn    int             // the member to begin with
	pending []transport.Completion
}

// member is a queue pair that completes into the queue, with either or both of
// its sides.
type member struct {
	qp              *queuePair
	sends, receives bool
}

// Whether a program sleeps on the queue, and for what.
const (
	awake = iota
	asleepForAny
	asleepForSolicited
)

// NewCQ implements transport.Adapter.
func (a *adapter) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	b, err := newBell()
	if err != nil {
		return nil, err
	}
	a.open.Add(1)
	cq := &completionQueue{adapter: a, owner: cfg.Owner, bell: b, depth: int(cfg.Depth)}
	cq.members.Store(&[]member{})
	return cq, nil
}

func (cq *completionQueue) add(qp *queuePair) {
	cq.change.Lock()
	defer cq.change.Unlock()
	members := append([]member(nil), *cq.members.Load()...)
	members = append(members, member{qp: qp, sends: qp.sendCQ == cq, receives: qp.recvCQ == cq})
	cq.members.Store(&members)
}

func (cq *completionQueue) remove(qp *queuePair) {
	cq.change.Lock()
	defer cq.change.Unlock()
	var members []member
	for _, m := range *cq.members.Load() {
		if m.qp != qp {
			members = append(members, m)
		}
	}
	cq.members.Store(&members)
}

// Poll implements transport.CQ.
func (cq *completionQueue) Poll(dst []transport.Completion, spins int) (int, error) {
	members := *cq.members.Load()
	n := 0
	if len(cq.pending) > 0 {
		n = copy(dst, cq.pending)
		cq.pending = cq.pending[:copy(cq.pending, cq.pending[n:])]
	}
	for n < len(dst) {
		if cq.turn >= len(members) {
			cq.turn = 0
		}
		for i := cq.turn; i < len(members) && n < len(dst); i++ {
			n += members[i].poll(dst[n:])
		}
		for i := 0; i < cq.turn && n < len(dst); i++ {
			n += members[i].poll(dst[n:])
		}
		if n > 0 || spins == 0 {
			break
		}
		spins--
	}
	if n == len(dst) {
		cq.turn++ // dst was too short for all: let another be first
	}
	if n > 0 && cq.asleep.Load() != awake {
		cq.asleep.Store(awake) // armed, and then found something without sleeping
	}
	return n, nil
}

func (m *member) poll(dst []transport.Completion) int {
	n := 0
	if m.receives {
		n = m.qp.receive(dst)
	}
	if m.sends && n < len(dst) {
		n += m.qp.completeSends(dst[n:])
	}
	return n
}

// Arm implements transport.CQ.
func (cq *completionQueue) Arm(solicitedOnly bool) (bool, error) {
	if solicitedOnly {
		cq.asleep.Store(asleepForSolicited)
	} else {
		cq.asleep.Store(asleepForAny)
	}
	for _, m := range *cq.members.Load() {
		if m.receives {
			raise(&m.qp.own.receiveBell, m.qp.peer.rungReceive.Load(), solicitedOnly)
		}
		if m.sends {
			if _, waits := m.qp.unacknowledged(); waits {
				raise(&m.qp.own.sendBell, m.qp.peer.rungSend.Load(), solicitedOnly)
				cq.watch()
			}
		}
	}
	return len(cq.pending) > 0, nil
}

// Wait implements transport.CQ.
func (cq *completionQueue) Wait(ctx context.Context) error {
	err := cq.bell.wait(ctx)
	cq.asleep.Store(awake)
	if errors.Is(err, os.ErrClosed) {
		return transport.ErrClosed
	}
	return err
}

// wakeSleeper wakes this process's own program if it sleeps on the queue;
// urgent, also if it sleeps for solicited messages and failures only.
func (cq *completionQueue) wakeSleeper(urgent bool) {
	if a := cq.asleep.Load(); a == asleepForAny || a == asleepForSolicited && urgent {
		cq.bell.ring()
	}
}

// receiveInBackground receives for a queue pair in the program's stead, and
// reports whether it could: not while the program polls.
func (cq *completionQueue) receiveInBackground(qp *queuePair) bool {
	if !cq.owner.TryAcquireBackground() {
		return false
	}
	defer cq.owner.Release()
	if cq.closed.Load() || qp.released.Load() || qp.peerSegment == nil {
		return true
	}
	urgent := false
	var buf [16]transport.Completion
	for {
		n := qp.receive(buf[:min(len(buf), cq.depth-len(cq.pending))])
		if n == 0 {
			break
		}
		for i := range buf[:n] {
			urgent = urgent || buf[i].Status != transport.StatusOK
		}
		cq.pending = append(cq.pending, buf[:n]...)
	}
	if len(cq.pending) > 0 {
		cq.wakeSleeper(urgent)
	}
	return true
}

// watchInterval is how long a message may stay unacknowledged before the peer's
// background side is asked to look after it.
const watchInterval = time.Millisecond

// watch schedules a look at messages that are not acknowledged.
func (cq *completionQueue) watch() {
	if cq.watching.CompareAndSwap(false, true) {
		time.AfterFunc(watchInterval, cq.look)
	}
}

// look kicks the peers that have left a message unacknowledged since the last
// look, once a message.
func (cq *completionQueue) look() {
	cq.watching.Store(false)
	if cq.closed.Load() {
		return
	}
	for _, m := range *cq.members.Load() {
		if m.sends && m.qp.kickIfStale() {
			cq.watch()
		}
	}
}

// Close implements transport.CQ.
func (cq *completionQueue) Close() error {
	cq.closed.Store(true)
	for _, m := range *cq.members.Load() {
		m.qp.state.Store(stateClosed)
		m.qp.done(m.sends, m.receives)
	}
	cq.adapter.open.Add(-1)
	return cq.bell.close()
}
