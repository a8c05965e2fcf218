package invoke

import (
	"errors"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// flush posts the staged replies.
func (l *loop) flush() {
	if l.length == 0 {
		return
	}
	s, n := l.of, l.length
	l.length = 0
	signaled := transport.Flags(0)
	for i := range l.staged[:n] {
		signaled |= l.staged[i].Flags
	}
	posted, err := s.conn.Post(l.staged[:n]...)
	if err != nil {
		l.flushFailed(s, l.staged[posted:n], err)
		return
	}
	if s.taken >= len(s.receives) && !l.restock(s) { // now that the replies are on their way
		return
	}
	if signaled&transport.Signaled != 0 {
		l.reclaim()
	}
}

// restock replaces the receives that requests have used, and reports whether the
// session still is.
func (l *loop) restock(s *session) bool {
	err := s.repost()
	if err != nil {
		l.drop(s, err)
	}
	return err == nil
}

// reclaim polls the completions of replies, which frees entries of the send queues.
func (l *loop) reclaim() {
	for {
		n, err := l.w.sendQueue.Poll(l.acks[:])
		if err != nil {
			return // closed
		}
		for i := range l.acks[:n] {
			l.acknowledged(&l.acks[i])
		}
		if n < len(l.acks) {
			return
		}
	}
}

// acknowledged takes the completion of a reply, or of a part of a payload.
func (l *loop) acknowledged(c *transport.Completion) {
	switch {
	case c.Status != transport.StatusOK:
		c.ID = sessionOf(c.ID)
		l.failed(c)
	case c.Op != transport.OpWriteImm:
		l.moved(c)
	}
}

// flushFailed looks after replies that could not be posted.
func (l *loop) flushFailed(s *session, rest []transport.WorkRequest, err error) {
	if errors.Is(err, transport.ErrQueueFull) {
		l.keep(s, rest)
	} else {
		l.drop(s, err)
	}
}

// A client that keeps to its credits always leaves room for its replies in the
// send queue. But a provider may make room late, and a client may not keep to
// them. So what cannot be posted is kept, within bounds, and the loop goes on.
const (
	// backlogPatience bounds how long replies are kept.
	backlogPatience = 5 * time.Second
	// backlogPause bounds how long the loop sleeps while replies are kept.
	backlogPause = time.Millisecond
)

// keep puts replies into the session's backlog.
func (l *loop) keep(s *session, rest []transport.WorkRequest) {
	if len(s.backlog) == 0 {
		s.backlogSince = now()
		l.backlogs++
	}
	s.backlog = append(s.backlog, rest...)
	if len(s.backlog) > len(s.slots) {
		l.drop(s, fmt.Errorf("it broke the protocol: %d replies could not be posted; it has %d slots", len(s.backlog), len(s.slots)))
	}
}

// retry posts what was kept.
func (l *loop) retry() {
	l.reclaim()
	for _, s := range l.sessions {
		if s == nil || len(s.backlog) == 0 {
			continue
		}
		n, err := s.conn.Post(s.backlog...)
		s.backlog = s.backlog[:copy(s.backlog, s.backlog[n:])]
		switch {
		case len(s.backlog) == 0:
			l.backlogs--
		case !errors.Is(err, transport.ErrQueueFull):
			l.drop(s, err)
		case now()-s.backlogSince > int64(backlogPatience):
			l.drop(s, fmt.Errorf("it does not take its replies; %d could not be posted for %v", len(s.backlog), backlogPatience))
		}
	}
}

// failed takes a completion that is not a request's: of a connection that ended.
func (l *loop) failed(c *transport.Completion) {
	s := l.sessions[indexOf(c.ID)]
	if s == nil || s.id != c.ID {
		return // of a session that ended
	}
	err := s.conn.Err()
	if err == nil {
		if err = c.Err(); err == nil {
			err = fmt.Errorf("it broke the protocol: a %v", c.Op)
		}
	}
	l.drop(s, err)
}

// drop ends a session. What it had staged is dropped, too.
func (l *loop) drop(s *session, reason error) {
	if l.of == s {
		l.of, l.length = nil, 0
	}
	if len(s.backlog) > 0 {
		l.backlogs--
	}
	l.forget(s)
	l.sessions[indexOf(s.id)] = nil
	l.free = append(l.free, indexOf(s.id))
	l.w.log.Info("client gone", "peer", s.peer, "reason", reason)
	l.w.release(s)
}

// releaseAll drops all sessions: those in use and those that have just arrived.
func (l *loop) releaseAll() {
	for _, s := range l.sessions {
		if s != nil {
			l.drop(s, transport.ErrClosed)
		}
	}
	l.w.mu.Lock()
	arrived := l.w.arrived
	l.w.arrived = nil
	l.w.mu.Unlock()
	for _, s := range arrived {
		l.w.release(s)
	}
}
