package softroce

import (
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/softroce/wire"
)

// engine moves packets between a socket and the state machines of queue pairs.
// While a program polls it has no thread of its own: the goroutine that polls
// or posts drives it. Otherwise the background side does (background.go).
type engine struct {
	adapter    *Adapter
	socket     *socket
	background *background
	start      time.Time
	receiver   receiver // &in, or faults around it
	faults     *faults  // nil: none

	_ [64]byte
	engineLock
	_      [64]byte
	posts  atomic.Pointer[queuePair] // a stack of queue pairs with work that was left to the lock's holder
	_      [64]byte
	drives atomic.Uint64 // by programs; tells the background side whether it is needed

	// The rest is guarded by the engine lock.
	now      time.Duration // since start; may lag by a few drives
	clockAge int           // drives since it was read
	pairs    map[uint32]*queuePair
	lastPair *queuePair // of pairs: the last one looked up
	ready    readyList
	lazy     []*queuePair // with delayed acknowledgements
	timers   timers
	due      time.Duration // when the first packet that faults hold back is; never if there is none
	packet   wire.Packet
	in       intake
	out      batch
	counters counters
	tap      func(Captured)
}

const (
	// clockPeriod is how many drives a program may do between two looks at the
	// clock, which cost a tenth of a drive each.
	clockPeriod = 8
	// packetShare is what one queue pair sends, and the rest of a message of the
	// batch, before the others send.
	packetShare = fullPackets
)

// poll is a look at the network by a program that waits for something.
func (e *engine) poll() {
	if !e.TryLock() {
		runtime.Gosched() // another goroutine drives
		return
	}
	order.Publish64(&e.drives, e.drives.Load()+1)
	if e.clockAge++; e.clockAge >= clockPeriod || e.background.clockIsOld() {
		e.readClock()
	}
	e.drive(e.background.serves()) // while the background side sleeps, delayed acknowledgements would stay
	e.Unlock()
}

// posted carries out what was posted on a queue pair, or leaves it to the lock's
// holder. A delayed acknowledgement is sent behind the program's packets.
func (e *engine) posted(q *queuePair) {
	if !e.TryLock() {
		e.leave(q)
		if e.TryLock() {
			e.Unlock()
		}
		return
	}
	if e.background.clockIsOld() {
		e.readClock()
	}
	e.takePosts()
	e.send(q, true)
	if e.ready.first != nil {
		e.transmit(true)
	} else {
		e.out.flush()
	}
	e.Unlock()
}

// feed wakes starved queue pairs after receives were posted.
func (e *engine) feed(r *receiveQueue) {
	e.Lock()
	if r.Starved.Load() {
		e.readClock()
		r.feed()
		e.transmit(true)
	}
	e.Unlock()
}

// leave pushes a queue pair onto the stack of posts.
func (e *engine) leave(q *queuePair) {
	if q.isPosted.Swap(true) {
		return
	}
	for {
		q.nextPosted = e.posts.Load()
		if e.posts.CompareAndSwap(q.nextPosted, q) {
			return
		}
	}
}

// takePosts makes the queue pairs on the stack ready.
func (e *engine) takePosts() {
	if e.posts.Load() == nil {
		return
	}
	for q := e.posts.Swap(nil); q != nil; {
		next := q.nextPosted
		q.isPosted.Store(false)
		if !q.closed.Load() {
			e.ready.push(q)
		}
		q = next
	}
}

// Unlock releases the engine lock, after the work that others left is done.
func (e *engine) Unlock() {
	e.background.wakeFor(e.next())
	e.engineLock.Unlock()
	for e.posts.Load() != nil && e.TryLock() {
		e.takePosts()
		e.transmit(true)
		e.background.wakeFor(e.next())
		e.engineLock.Unlock()
	}
}

// next is when the engine has to be driven: at once if there is more to be sent.
func (e *engine) next() time.Duration {
	if e.ready.first != nil {
		return 0
	}
	return e.first()
}

// first is when the engine has to be driven although nothing arrives.
func (e *engine) first() time.Duration { return min(e.timers.first(), e.due) }

// drive receives and sends once, and reports whether anything arrived. If eager
// is set, acknowledgements are sent at once; otherwise they wait until nothing
// arrives, the program posts, or the background side drives.
func (e *engine) drive(eager bool) bool {
	arrived := e.receiver.receive()
	e.takePosts()
	if e.timers.first() <= e.now {
		arrived = e.receiveMore() || arrived
		e.expire()
	}
	if len(e.lazy) > 0 && (eager || !arrived || e.clockAge == 0) { // the clock is read now and then
		for i, q := range e.lazy {
			e.lazy[i] = nil
			q.isLazy = false
			e.ready.push(q)
		}
		e.lazy = e.lazy[:0]
		eager = true
	}
	if e.ready.first != nil {
		e.transmit(eager)
	}
	return arrived
}

// receiveMore handles what else has arrived, within bounds, and reports whether
// anything had. It comes before timers: after a pause of this process all of them
// are due, although the packets that they wait for may be in the socket.
func (e *engine) receiveMore() (arrived bool) {
	const batches = 16
	for range batches {
		e.in.bulk = true
		if !e.receiver.receive() {
			break
		}
		arrived = true
	}
	return arrived
}

// expire runs the timers that are due.
func (e *engine) expire() {
	for e.timers.first() <= e.now {
		q := e.timers.pop()
		switch at := q.machine.Deadline(); {
		case at == 0:
		case at > e.now:
			e.timers.set(q, at)
		default:
			q.machine.Expire(e.now)
			e.ready.push(q)
		}
	}
}

// transmit lets every ready queue pair send its share.
func (e *engine) transmit(acks bool) {
	for q, last := e.ready.first, e.ready.last; q != nil; q = e.ready.first {
		e.ready.pop()
		e.send(q, acks)
		if q == last {
			break
		}
	}
	e.out.flush()
}

// send puts a queue pair's packets into the outgoing batch.
func (e *engine) send(q *queuePair, acks bool) {
	for n := 0; n < packetShare || n < batchPackets && e.out.grows(q, e.out.segment); n++ {
		if !q.machine.Next(e.now, acks, &e.packet) {
			e.settle(q)
			return
		}
		e.out.add(q, &e.packet)
	}
	e.ready.push(q)
	e.settle(q)
}

// settle records what a queue pair waits for.
func (e *engine) settle(q *queuePair) {
	if pending, urgent := q.machine.AckDue(); pending {
		if urgent && !q.isReady {
			if q.machine.Next(e.now, true, &e.packet) {
				e.out.add(q, &e.packet)
			}
		} else if !q.isLazy {
			q.isLazy = true
			e.lazy = append(e.lazy, q)
		}
	}
	if at := q.machine.Deadline(); at != 0 {
		e.timers.set(q, at)
	}
}

// drainSocket handles everything that has arrived so far, before an event that
// came by the stream is applied to a queue pair. It releases the lock now and
// then, and gives up when packets do not stop.
func (e *engine) drainSocket(q *queuePair) {
	const rounds, batches = 64, 16
	for range rounds {
		for range batches {
			e.readClock()
			e.in.bulk = true
			if !e.drive(true) {
				e.drainSlow(q)
				return
			}
		}
		e.Unlock()
		e.Lock()
		if q.closed.Load() {
			return
		}
	}
}

// drainSlow waits for the packets that are held back: the peer sent them before the
// event.
func (e *engine) drainSlow(q *queuePair) {
	if e.due == never {
		return
	}
	const look = time.Millisecond // whether the queue pair is closed meanwhile
	for last := e.faults.slow.last(); e.due <= last && !q.closed.Load(); {
		pause := min(e.due-e.now, look)
		e.Unlock()
		time.Sleep(pause)
		e.Lock()
		e.readClock()
		e.drive(true)
	}
}

func (e *engine) readClock() {
	e.now = time.Since(e.start)
	e.clockAge = 0
}

// enter gives the queue pair a number of its own, under which it is found.
func (e *engine) enter(q *queuePair) {
	e.Lock()
	defer e.Unlock()
	for q.qpn < firstQPN || q.qpn == wire.QPNMask || e.pairs[q.qpn] != nil {
		q.qpn = provider.Random32() & wire.PSNMask
	}
	e.pairs[q.qpn] = q
}

// firstQPN is the lowest number of an ordinary queue pair: 0 and 1 are for
// management, 0xffffff is multicast's.
const firstQPN = 2

// forget removes the queue pair from all lists. The caller holds the engine lock.
func (e *engine) forget(q *queuePair) {
	if e.pairs[q.qpn] == q {
		delete(e.pairs, q.qpn)
	}
	if e.lastPair == q {
		e.lastPair = nil
	}
	q.receives.forget(q)
	e.timers.remove(q)
	e.ready.remove(q)
	if i := slices.Index(e.lazy, q); i >= 0 {
		e.lazy = slices.Delete(e.lazy, i, i+1)
	}
}

// lookUp finds a queue pair by its number.
func (e *engine) lookUp(qpn uint32) *queuePair {
	if q := e.lastPair; q != nil && q.qpn == qpn {
		return q
	}
	q := e.pairs[qpn]
	if q != nil {
		e.lastPair = q
	}
	return q
}

// readyList is a list of queue pairs that may have something to send, first come
// first served.
type readyList struct{ first, last *queuePair }

func (l *readyList) push(q *queuePair) {
	if q.isReady {
		return
	}
	q.isReady = true
	if l.last == nil {
		l.first = q
	} else {
		l.last.nextReady = q
	}
	l.last = q
}

func (l *readyList) pop() {
	q := l.first
	l.first, q.nextReady, q.isReady = q.nextReady, nil, false
	if l.first == nil {
		l.last = nil
	}
}

func (l *readyList) remove(q *queuePair) {
	if !q.isReady {
		return
	}
	var kept readyList
	for p := l.first; p != nil; {
		next := p.nextReady
		p.nextReady, p.isReady = nil, false
		if p != q {
			kept.push(p)
		}
		p = next
	}
	*l = kept
}
