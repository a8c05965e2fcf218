package shm

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// completionQueue gathers the completions of its queue pairs by looking at
// them; it holds only what the background side received while the program did
// not poll.
type completionQueue struct {
	adapter *adapter
	owner   *transport.Owner
	sleeper provider.Sleeper
	depth   int
	closed  atomic.Bool

	members atomic.Pointer[[]member] // replaced on every change
	change  sync.Mutex               // of members

	watching errand        // looks at unacknowledged messages
	timer    *time.Timer   // for the next look
	interval time.Duration // between looks; the look's own

	_       [lineBytes]byte // what follows belongs to owner
	next    int             // the member to begin with
	waited  bool            // the last look found nothing
	urgent  bool            // something solicited arrived, or something failed, since Arm
	pending []transport.Completion
	sources []*provider.ReceiveQueue // of pending
}

// member is a queue pair that completes into the queue, with either or both of
// its sides.
type member struct {
	qp              *queuePair
	sends, receives bool
}

// NewCQ implements transport.Adapter.
func (a *adapter) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	a.open.Opened("completion queue")
	cq := &completionQueue{adapter: a, owner: cfg.Owner, sleeper: provider.NewSleeper(), depth: int(cfg.Depth)}
	cq.members.Store(&[]member{})
	cq.interval = firstLook
	cq.timer = time.AfterFunc(time.Hour, cq.look)
	cq.timer.Stop()
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
		n = cq.take(dst)
	}
	for n < len(dst) {
		if cq.next >= len(members) {
			cq.next = 0
		}
		for range members {
			if n == len(dst) {
				break // the next poll continues here
			}
			m := &members[cq.next]
			if cq.next++; cq.next == len(members) {
				cq.next = 0
			}
			if m.wantsAttention() {
				n += m.poll(dst[n:])
			}
		}
		if n > 0 {
			break
		}
		cq.waited = true
		if spins == 0 {
			break
		}
		spins--
		pause()
	}
	if n > 0 {
		cq.waited = false
	}
	if n > 0 && cq.sleeper.Armed() != provider.NotArmed {
		cq.sleeper.Disarm() // armed, and then found something without sleeping
	}
	return n, nil
}

// take hands out what the background side received.
func (cq *completionQueue) take(dst []transport.Completion) int {
	n := copy(dst, cq.pending)
	for _, q := range cq.sources[:n] {
		q.Credits.Give(1)
	}
	cq.pending = cq.pending[:copy(cq.pending, cq.pending[n:])]
	cq.sources = cq.sources[:copy(cq.sources, cq.sources[n:])]
	return n
}

// wantsAttention reports whether there is anything to do: the state has changed,
// a message has arrived, an acknowledgement is to be sent, or requests may have
// been completed. This is all that a poll without completions costs.
func (m *member) wantsAttention() bool {
	qp := m.qp
	return qp.state.Load() != stateReady ||
		m.receives && (qp.recv.slot.sequence.Load() == qp.recv.next+1 || qp.recv.acked != qp.recv.next) ||
		m.sends && qp.send.posted.Load() != qp.comp.settled
}

func (m *member) poll(dst []transport.Completion) int {
	n := 0
	if m.receives && len(dst) > 0 {
		if n = m.qp.receive(dst); n > 0 {
			m.qp.receives.Credits.Give(uint32(n))
		}
	}
	if m.sends && n < len(dst) {
		n += m.qp.completeSends(dst[n:])
	}
	return n
}

// Arm implements transport.CQ.
func (cq *completionQueue) Arm(solicitedOnly bool) (bool, error) {
	cq.urgent = false
	cq.sleeper.Arm(solicitedOnly)
	cq.raiseBells()
	return len(cq.pending) > 0, nil
}

func (cq *completionQueue) raiseBells() {
	for _, m := range *cq.members.Load() {
		if m.receives {
			raise(&m.qp.own.receiveBell, m.qp.peer.rungReceive.Load())
		}
		if m.sends {
			if _, waits := m.qp.unacknowledged(); waits {
				raise(&m.qp.own.sendBell, m.qp.peer.rungSend.Load())
				cq.watch()
			}
		}
	}
}

// Wait implements transport.CQ. A sleep for solicited messages only is broken by
// whatever arrives, but not ended: the background side looks what it is.
func (cq *completionQueue) Wait(ctx context.Context) error {
	defer cq.sleeper.Disarm()
	for {
		err := cq.sleeper.Wait(ctx)
		if err != nil || ctx.Err() != nil || cq.sleeper.Armed() != provider.ArmedForSolicited || !cq.dozeOn() {
			return err
		}
	}
}

// dozeOn receives what has arrived while the program sleeps for solicited
// messages only, and reports whether it can sleep on.
func (cq *completionQueue) dozeOn() bool {
	if !cq.owner.TryAcquireBackground() {
		return false
	}
	defer cq.owner.Release()
	cq.raiseBells() // and then look
	for _, m := range *cq.members.Load() {
		if m.receives {
			cq.receiveFor(m.qp)
		}
		if m.sends && m.qp.state.Load() != stateReady {
			return false
		}
	}
	return !cq.urgent
}

// run does work, an errand of the queue, in the background. It waits while the
// program polls.
func (cq *completionQueue) run(e *errand, work func()) {
	for done := false; !done; done = e.finished() {
		for pause := time.Microsecond; !cq.closed.Load() && !cq.inBackground(work); pause = min(2*pause, time.Millisecond) {
			time.Sleep(pause)
		}
	}
}

// inBackground does work as the queue's owner, and reports whether it could: not while
// the program polls.
func (cq *completionQueue) inBackground(work func()) bool {
	if !cq.owner.TryAcquireBackground() {
		return false
	}
	defer cq.owner.Release()
	if cq.closed.Load() {
		return true
	}
	if work(); len(cq.pending) > 0 {
		cq.sleeper.Notify(cq.urgent)
	}
	return true
}

// receiveInBackground receives for a queue pair into pending. Its sender does not
// ask again for messages that are left. It belongs to owner.
func (cq *completionQueue) receiveInBackground(qp *queuePair) {
	if qp.released.Load() || qp.peerSegment == nil {
		return
	}
	cq.receiveFor(qp)
	if r := &qp.recv; r.slot.sequence.Load() == r.next+1 {
		r.owed = true
	}
}

// receiveFor receives for a queue pair into pending. It belongs to owner.
func (cq *completionQueue) receiveFor(qp *queuePair) {
	var buf [16]transport.Completion
	for {
		n := qp.receive(buf[:min(len(buf), cq.depth-len(cq.pending))])
		if n == 0 {
			return
		}
		cq.pending = append(cq.pending, buf[:n]...)
		for range n {
			cq.sources = append(cq.sources, qp.receives)
		}
	}
}

// How long a message may stay unacknowledged before the peer's background side is
// asked to consume it, and the longest interval between looks at messages that
// stay so.
const (
	firstLook  = time.Millisecond
	seldomLook = 100 * time.Millisecond
)

// watch schedules looks at messages that are not acknowledged, for as long as
// there are any.
func (cq *completionQueue) watch() {
	if cq.watching.request() {
		cq.timer.Reset(firstLook)
	}
}

func (cq *completionQueue) look() {
	again := false
	cq.interval = min(2*cq.interval, seldomLook)
	for _, m := range *cq.members.Load() {
		if m.sends {
			waits, moved := m.qp.lookAfter()
			again = again || waits
			if moved {
				cq.interval = firstLook
			}
		}
	}
	if !again {
		cq.interval = firstLook
		again = !cq.watching.finished()
	}
	if again && !cq.closed.Load() {
		cq.timer.Reset(cq.interval)
	}
}

// Close implements transport.CQ.
func (cq *completionQueue) Close() error {
	cq.closed.Store(true)
	cq.timer.Stop()
	for _, m := range *cq.members.Load() {
		m.qp.state.Store(stateClosed)
		m.qp.done(m.sends, m.receives)
	}
	cq.adapter.open.Closed("completion queue")
	cq.sleeper.End()
	return nil
}
