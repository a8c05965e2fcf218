package invoke

import (
	"fmt"
	"slices"

	"github.com/rfaas-go/rfaas/internal/order"
)

// execution is a call whose function runs, or is to run, on a goroutine of its own: see
// WorkerConfig.Concurrency. While it runs the loop goes on; when it has returned the loop
// answers.
type execution struct {
	*call
	in, out []byte

	n     int
	err   error
	crash string // why there is neither
}

// detach has a call executed beside the loop, as soon as there is room.
func (l *loop) detach(k *call, in, out []byte) {
	beside := *k
	l.queue(&execution{call: &beside, in: in, out: out})
}

// detachRendezvous has the function of a call executed whose input has arrived. Until it has
// returned there is nothing to be moved.
func (l *loop) detachRendezvous(t *rendezvous) {
	s := t.session
	s.rendezvous = slices.DeleteFunc(s.rendezvous, func(other *rendezvous) bool { return other == t })
	if len(s.rendezvous) == 0 {
		l.settle(s)
	}
	l.queue(&execution{call: &t.call, in: t.in, out: t.out})
}

func (l *loop) queue(e *execution) {
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
			l.deny(e, StatusRevoked, revokedMessage)
		case e.slot.givenUp():
			l.deny(e, StatusCanceled, canceledMessage)
		case e.deadline != 0 && now() >= e.deadline:
			l.deny(e, StatusDeadlineExceeded, expiredMessage)
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
	ctx := &callContext{slot: e.slot, closing: w.life.Done(), deadline: e.deadline, metadata: e.metadata}
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
	e.n, e.err = f.f(ctx, e.in, e.out)
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
	for _, e := range executed {
		if l.stageFor(e.session) {
			l.settleExecution(e)
		}
	}
	if len(executed) > 0 {
		l.idle = ticks()
	}
	l.fill()
}

// settleExecution answers a call, or goes on with writing its result.
func (l *loop) settleExecution(e *execution) {
	e.slot.execution = nil
	f := &(*l.w.registry.table.Load())[e.function]
	switch t := e.rendezvous; {
	case e.crash != "":
		l.replyCrash(e.call, e.crash)
	case t != nil:
		l.deliver(t, f, e.n, e.err)
		if t.phase == phaseWriting && e.slot.rendezvous == t {
			e.session.rendezvous = slices.Insert(e.session.rendezvous, 0, t)
			if len(e.session.rendezvous) == 1 {
				l.rendezvousSessions = append(l.rendezvousSessions, e.session)
			}
			l.stuck = 0
		}
	case e.err != nil || uint(e.n) > uint(len(e.call.result)):
		l.replyFailure(e.call, f, e.n, e.err)
	default:
		l.reply(e.call, f, StatusOK, 0, e.n)
	}
}

// deny answers a call that is not started.
func (l *loop) deny(e *execution, status Status, message string) {
	e.session.executions.Done()
	if !l.stageFor(e.session) {
		return
	}
	e.slot.execution = nil
	if e.rendezvous != nil {
		l.remove(e.rendezvous)
	}
	l.answer(e.call, status, message)
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
