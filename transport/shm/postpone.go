package shm

import (
	"bytes"
	"runtime"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// A key can arrive sooner than the region's announcement, which comes over the socket.
// The request then waits, and all after it on that connection. A peer that promises
// announcements and sends none blocks only its own connection.

// postponed is a request that waits.
type postponed struct {
	wr     transport.WorkRequest
	inline []byte // of one that was posted Inline: the program may write there again
}

// statusPostponed is not a status of a completion.
const statusPostponed transport.Status = 255

// postpone keeps requests for later. The caller holds the send side, and has
// published what it posted before.
func (qp *queuePair) postpone(wrs []transport.WorkRequest) (n int, err error) {
	s := &qp.send
	for ; n < len(wrs); n++ {
		tail := uint32(s.posted.Load()) + uint32(len(s.postponed))
		if tail-s.headSeen >= qp.cfg.SendDepth {
			s.headSeen = qp.comp.head.Load()
			if tail-s.headSeen >= qp.cfg.SendDepth {
				err = transport.ErrQueueFull
				break
			}
		}
		p := postponed{wr: wrs[n]}
		if p.wr.Flags&transport.Inline != 0 {
			p.inline = bytes.Join([][]byte{memory(p.wr.Local), memory(p.wr.SecondSpan())}, nil)
		}
		s.postponed = append(s.postponed, p)
	}
	s.waiting.Store(true)
	qp.proceed() // what they wait for may have come before this was seen
	return n, err
}

// resume carries out what waits, as far as it can.
func (qp *queuePair) resume() {
	for looks := 0; qp.send.waiting.Load() && qp.state.Load() != stateClosed; looks++ {
		if qp.cfg.Owner.TryAcquireBackground() {
			qp.proceed()
			qp.cfg.Owner.Release()
			return
		}
		if looks < 100 {
			runtime.Gosched() // a post is short
		} else {
			time.Sleep(20 * time.Microsecond)
		}
	}
}

// proceed is resume for the holder of the send side.
func (qp *queuePair) proceed() {
	s := &qp.send
	if len(s.postponed) == 0 {
		return
	}
	messages, failed := s.messages, false
	for len(s.postponed) > 0 {
		p := &s.postponed[0]
		posted := s.posted.Load()
		tail, signaled := uint32(posted), uint32(posted>>32)
		e := &s.entries[tail&qp.own.mask]
		e.awaits = false
		status := endStatus(qp.linkDown.Load())
		if s.condemned != nil {
			status = transport.StatusFlushed
		} else if qp.state.Load() == stateReady {
			if status = qp.executeLate(p, e); status == statusPostponed {
				break
			}
			if status != transport.StatusOK {
				qp.condemn(&p.wr, status)
			}
		}
		if status != transport.StatusOK {
			failed, e.awaits = true, false
		}
		e.id, e.op, e.status = p.wr.ID, p.wr.Op, status
		if e.signaled = p.wr.Flags&transport.Signaled != 0; e.signaled {
			signaled++
		}
		s.posted.Store(uint64(signaled)<<32 | uint64(tail+1))
		s.postponed[0] = postponed{}
		s.postponed = s.postponed[1:]
	}
	if len(s.postponed) == 0 {
		s.postponed = nil
		s.waiting.Store(false)
	}
	if s.messages != messages {
		qp.ringReceiver()
	}
	qp.sendCQ.sleeper.Notify(failed)
}

// executeLate executes a request whose regions may have been closed meanwhile.
func (qp *queuePair) executeLate(p *postponed, e *sendEntry) transport.Status {
	wr := p.wr
	if p.inline != nil {
		wr.Local = spanOf(p.inline)
		wr = wr.WithSecondSpan(transport.Span{})
		status := qp.execute(&wr, e)
		runtime.KeepAlive(p.inline)
		return status
	}
	for _, span := range [...]transport.Span{wr.Local, wr.SecondSpan()} {
		if _, ok := qp.domain.local(span); !ok {
			return transport.StatusLocalProtection
		}
	}
	return qp.execute(&wr, e)
}
