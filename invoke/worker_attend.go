package invoke

import (
	"context"

	"github.com/rfaas-go/rfaas/transport"
)

// attend looks at what the rest of the program has for the loop, and reports
// whether the worker was closed.
func (l *loop) attend() (closed bool) {
	w := l.w
	w.mu.Lock()
	w.attention.Store(false)
	arrived := w.arrived
	w.arrived = nil
	if w.sleep.Err() != nil && !w.closed {
		w.sleep, w.wake = context.WithCancel(context.Background())
	}
	closed = w.closed
	if w.closed || w.draining != nil {
		l.refusing = true
	}
	drained := w.draining
	w.mu.Unlock()
	l.reclaim()
	for _, s := range arrived {
		l.add(s)
	}
	l.settleExecutions()
	if closed {
		l.flush()
		l.finish()
	}
	if l.refusing && drained != nil {
		l.flush() // nothing runs here now
		if l.executing == 0 && !l.writing() {
			closeOnce(drained)
		}
	}
	return closed
}

// closeOnce closes a channel that only the caller closes.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// add takes a session in. There is a free index: there are as many as clients.
func (l *loop) add(s *session) {
	index := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	l.last++
	l.sessions[index] = s
	if err := s.open(sessionID(l.last, int(index))); err != nil {
		l.drop(s, err)
	}
}

// applyCancels marks the requests whose cancels were noticed together with them.
func (l *loop) applyCancels() {
	any := uint32(0)
	for i := range l.completions[:l.count] {
		any |= l.completions[i].Imm
	}
	if any>>immSlotBits&uint32(kindCancel) == 0 {
		return
	}
	for i := range l.completions[:l.count] {
		cancel := &l.completions[i]
		index, kind, _ := decodeRequestImm(cancel.Imm)
		if !cancel.HasImm || kind != kindCancel {
			continue
		}
		for j := i - 1; j >= 0; j-- {
			c := &l.completions[j]
			slot, kind, _ := decodeRequestImm(c.Imm)
			if c.ID == cancel.ID && c.HasImm && slot == index && c.Op == transport.OpRecvImm && kind <= kindFull {
				c.Imm |= uint32(kindCanceled) << immSlotBits
				break
			}
		}
	}
}
