package transporttest

import (
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// loop is what a command that runs at an end for a while works with: one
// connection and its queues. Its methods end the command when something fails.
type loop struct {
	*agent
	conn           *transport.Conn
	sent, received *transport.Queue // the same one, or received may be nil
	step           int              // how far the command has come, for its errors

	got [1]transport.Completion // here, since what is given to Poll is on the heap
}

// loopArgs name a connection and its queues.
type loopArgs struct{ Conn, Sent, Received handle }

// loopArgs names the side's connection and queues.
func (s side) loopArgs() loopArgs { return loopArgs{s.conn.Conn, s.sent.id, s.received.id} }

func (a *agent) loop(args loopArgs) *loop {
	return &loop{
		agent: a, conn: get[*transport.Conn](a, args.Conn),
		sent: get[*transport.Queue](a, args.Sent), received: find[*transport.Queue](a, args.Received),
	}
}

// check ends the command, unless err is nil.
func (l *loop) check(err error) {
	if err != nil {
		check(fmt.Errorf("in step %d: %w", l.step, err))
	}
}

// post posts requests, waiting for room when there is none.
func (l *loop) post(wrs ...transport.WorkRequest) { l.postTo(l.conn.Post, wrs) }

// postRecv posts receives, waiting for room when there is none.
func (l *loop) postRecv(wrs ...transport.WorkRequest) { l.postTo(l.conn.PostRecv, wrs) }

func (l *loop) postTo(post func(...transport.WorkRequest) (int, error), wrs []transport.WorkRequest) {
	for idle := (pause{}); len(wrs) > 0; {
		n, err := post(wrs...)
		if !errors.Is(err, transport.ErrQueueFull) {
			l.check(err)
		}
		wrs = wrs[n:]
		l.check(idle.after(n > 0, l.patience, "room in a queue"))
	}
}

// expectSent takes the next completion of a post, which has to be a certain one
// and a good one.
func (l *loop) expectSent(id uint64) { l.expect(l.sent, id) }

// expectReceived is expectSent for receives.
func (l *loop) expectReceived(id uint64) { l.expect(l.received, id) }

func (l *loop) expect(q *transport.Queue, id uint64) {
	c := l.take(q)
	l.check(c.Err())
	if c.ID != id {
		l.check(fmt.Errorf("%w: the completion names request %d, not %d", errUnexpected, c.ID, id))
	}
}

// take polls until there is a completion.
func (l *loop) take(q *transport.Queue) transport.Completion {
	for idle := (pause{}); ; {
		n, err := q.Poll(l.got[:])
		l.check(err)
		if n > 0 {
			return l.got[0]
		}
		l.check(idle.after(false, l.patience, "a completion"))
	}
}
