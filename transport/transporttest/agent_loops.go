package transporttest

import (
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// loop is what a command that runs at an end for a while works with: one
// connection and its queues. After the first error its methods do nothing, so
// that err need not be looked at after each.
type loop struct {
	*agent
	conn           *transport.Conn
	sent, received *transport.Queue // the same one, or received may be nil
	err            error

	got [1]transport.Completion // here, since what is given to Poll is on the heap
}

// loopArgs name a connection and its queues.
type loopArgs struct{ Conn, Sent, Received handle }

// loopArgs names the side's connection and queues.
func (s side) loopArgs() loopArgs { return loopArgs{s.conn.Conn, s.sent.id, s.received.id} }

func (a *agent) loop(args loopArgs) (*loop, error) {
	l := &loop{agent: a}
	var err error
	if l.conn, err = get[*transport.Conn](a, args.Conn); err != nil {
		return nil, err
	}
	if l.sent, err = get[*transport.Queue](a, args.Sent); err != nil {
		return nil, err
	}
	l.received, err = find[*transport.Queue](a, args.Received)
	return l, err
}

// post posts requests, waiting for room when there is none.
func (l *loop) post(wrs ...transport.WorkRequest) { l.postTo(l.conn.Post, wrs) }

// postRecv posts receives, waiting for room when there is none.
func (l *loop) postRecv(wrs ...transport.WorkRequest) { l.postTo(l.conn.PostRecv, wrs) }

func (l *loop) postTo(post func(...transport.WorkRequest) (int, error), wrs []transport.WorkRequest) {
	if l.err != nil {
		return
	}
	for idle := (pause{}); ; idle.wait() {
		n, err := post(wrs...)
		wrs = wrs[n:]
		if !errors.Is(err, transport.ErrQueueFull) {
			l.err = err
			return
		}
		if idle.waited() > l.patience {
			l.err = fmt.Errorf("%w (%v): room in a queue", errDeadline, l.patience)
			return
		}
	}
}

// expectSent takes the next completion of a post, which has to be a certain one
// and a good one.
func (l *loop) expectSent(id uint64) transport.Completion { return l.expect(l.sent, id) }

// expectReceived is expectSent for receives.
func (l *loop) expectReceived(id uint64) transport.Completion { return l.expect(l.received, id) }

func (l *loop) expect(q *transport.Queue, id uint64) transport.Completion {
	c := l.take(q)
	if l.err == nil {
		l.err = c.Err()
	}
	if l.err == nil && c.ID != id {
		l.err = fmt.Errorf("%w: the completion names request %d, not %d", errUnexpected, c.ID, id)
	}
	return c
}

// take polls until there is a completion.
func (l *loop) take(q *transport.Queue) (c transport.Completion) {
	if l.err != nil {
		return c
	}
	for idle := (pause{}); ; idle.wait() {
		n, err := q.Poll(l.got[:])
		if n > 0 || err != nil {
			l.err = err
			return l.got[0]
		}
		if idle.waited() > l.patience {
			l.err = fmt.Errorf("%w (%v): a completion", errDeadline, l.patience)
			return c
		}
	}
}
