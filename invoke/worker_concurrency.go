package invoke

import (
	"fmt"
	"slices"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/transport"
)

// execution is a call whose function runs, or is to run, on a goroutine of its own: see
// WorkerConfig.Concurrency. While it runs the loop goes on; when it has returned the loop
// answers.
type execution struct {
	session    *session
	slot       *workerSlot
	index      uint32 // of the slot
	function   uint32
	length     uint32 // of the input
	input      []byte
	result     []byte
	returned   transport.RemoteSpan
	deadline   int64       // by now(); 0 for none
	noticed    int64       // in ticks
	started    int64       // in ticks
	rendezvous *rendezvous // if it goes beyond the slot

	n     int
	err   error
	crash string // why there is neither
}

// detach has the call at hand executed beside the loop, as soon as there is room.
func (l *loop) detach(input, result []byte, t *rendezvous) {
	k := &l.call
	e := &execution{
		session: k.session, slot: k.slot, index: k.index, function: k.function, length: k.length,
		input: input, result: result, returned: k.returned, deadline: k.deadline, noticed: l.noticed, rendezvous: t,
	}
	e.slot.execution = e
	e.session.executions.Add(1)
	l.waiting = append(l.waiting, e)
	l.fill()
}

// fill starts what waits.
func (l *loop) fill() {
	for len(l.waiting) > 0 && (l.executing < l.w.cfg.Concurrency || l.refusing) {
		e := l.waiting[0]
		l.waiting = l.waiting[1:]
		switch {
		case e.session.conn.Err() != nil: // the loop has not noticed yet that the client is gone
			e.session.executions.Done()
		case l.refusing:
			l.deny(e, StatusRevoked, "the worker is being taken away and starts no calls any more")
		case e.slot.givenUp():
			l.deny(e, StatusCanceled, "the caller gave up before the call was started")
		case e.deadline != 0 && now() >= e.deadline:
			l.deny(e, StatusDeadlineExceeded, "the deadline had passed before the call was started")
		default:
			l.executing++
			e.started = ticks()
			order.Publish64(&e.slot.running, callMark(e.slot.id))
			go l.w.execute(e, &(*l.w.registry.table.Load())[e.function])
		}
	}
}

// execute calls the function, and hands the call back to the loop.
func (w *Worker) execute(e *execution, f *registered) {
	ctx := &callContext{slot: e.slot, closing: w.life.Done(), deadline: e.deadline}
	returned := false
	defer func() {
		if !returned {
			e.crash = "the function ended its goroutine"
			if value := recover(); value != nil {
				e.crash = fmt.Sprintf("panic: %v, at %s", value, panicPlace())
			}
		}
		order.Publish64(&e.slot.running, 0)
		ctx.end(errCallOver)
		w.mu.Lock()
		w.executed = append(w.executed, e)
		w.notify()
		w.mu.Unlock()
		e.session.executions.Done()
		select {
		case w.returned <- struct{}{}:
		default:
		}
	}()
	e.n, e.err = f.f(ctx, e.input, e.result)
	returned = true
}

// settleExecutions answers the calls whose functions have returned.
func (l *loop) settleExecutions() {
	if l.w.cfg.Concurrency <= 1 {
		return
	}
	l.w.mu.Lock()
	executed := l.w.executed
	l.w.executed = nil
	l.w.mu.Unlock()
	l.executing -= len(executed)
	if len(executed) > 0 {
		noticed := l.noticed
		for _, e := range executed {
			if l.recall(e) {
				l.replyTo(e)
			}
		}
		l.noticed, l.call.started = noticed, ticks()
	}
	l.fill()
}

// recall makes an execution's call the one at hand, and reports whether its client still
// is.
func (l *loop) recall(e *execution) bool {
	if l.length > 0 && l.of != e.session {
		l.flush() // which may find that sessions have ended
	}
	if l.sessions[placeOf(e.session.id)] != e.session {
		return false
	}
	l.of = e.session
	k := &l.call
	k.session, k.slot, k.index, k.function, k.length = e.session, e.slot, e.index, e.function, e.length
	k.result, k.returned, k.deadline = e.result, e.returned, e.deadline
	if e.rendezvous != nil {
		k.result = e.slot.result[:min(int(e.rendezvous.room), len(e.slot.result))]
	}
	l.noticed, k.started = e.noticed, e.started
	e.slot.execution = nil
	return true
}

// deny answers a call that is not started.
func (l *loop) deny(e *execution, status Status, message string) {
	e.session.executions.Done()
	noticed, started := l.noticed, l.call.started
	if l.recall(e) {
		if e.rendezvous != nil {
			l.remove(e.rendezvous)
		}
		l.answer(status, message)
	}
	l.noticed, l.call.started = noticed, started
}

// replyTo answers the call at hand.
func (l *loop) replyTo(e *execution) {
	k := &l.call
	f := &(*l.w.registry.table.Load())[e.function]
	switch t := e.rendezvous; {
	case e.crash != "":
		if t != nil {
			l.remove(t)
		}
		l.w.log.Error("function crashed", "function", f.name, "peer", e.session.peer, "reason", e.crash)
		l.reply(f, StatusCrashed, 0, putMessage(k.result, e.crash))
	case t != nil:
		t.status = StatusOK // the caller may have given up meanwhile; this is the answer all the same
		l.deliver(t, f, e.n, e.err)
		if t.phase == phaseWriting && e.slot.rendezvous == t {
			e.session.rendezvous = slices.Insert(e.session.rendezvous, 0, t)
			if len(e.session.rendezvous) == 1 {
				l.rendezvousSessions = append(l.rendezvousSessions, e.session)
			}
			l.stuck = 0
		}
	case e.err != nil || uint(e.n) > uint(len(k.result)):
		l.replyFailure(f, e.n, e.err)
	default:
		l.reply(f, StatusOK, 0, e.n)
	}
}

// detachRendezvous has the function of a call executed whose input has arrived. Until it has
// returned there is nothing to be moved.
func (l *loop) detachRendezvous(t *rendezvous) {
	s := t.session
	if !l.resume(t) {
		return
	}
	t.entered = true
	s.rendezvous = slices.DeleteFunc(s.rendezvous, func(other *rendezvous) bool { return other == t })
	if len(s.rendezvous) == 0 {
		l.settle(s)
	}
	l.detach(t.input, t.result, t)
}

// awaitExecutions waits until no function runs any more, and answers. The contexts of all
// have ended.
func (l *loop) awaitExecutions() {
	for l.executing > 0 {
		<-l.w.returned
		l.settleExecutions()
	}
	l.flush()
}

// dropWaiting forgets the calls of a session that ends which have not begun.
func (l *loop) dropWaiting(s *session) {
	l.waiting = slices.DeleteFunc(l.waiting, func(e *execution) bool {
		if e.session != s {
			return false
		}
		s.executions.Done()
		return true
	})
}
