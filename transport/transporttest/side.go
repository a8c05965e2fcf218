package transporttest

import (
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// tryPost posts and returns how many requests were taken, and the error.
func (s side) tryPost(requests ...request) (int, error) {
	return postRequests.on(s.end, postArgs{s.conn.Conn, requests, true})
}

// post posts requests that all have to be taken.
func (s side) post(requests ...request) {
	s.t.Helper()
	if n, err := postRequests.on(s.end, postArgs{s.conn.Conn, requests, false}); err != nil {
		s.fatalf("post took %d of %d: %v", n, len(requests), err)
	}
}

// receives is where the side's receives are posted.
func (s side) receives() handle {
	if s.shared != 0 {
		return s.shared
	}
	return s.conn.Conn
}

// tryPostRecv posts receives and returns how many were taken, and the error.
func (s side) tryPostRecv(requests ...request) (int, error) {
	return postReceives.on(s.end, postArgs{s.receives(), requests, true})
}

// postRecv posts receives that all have to be taken.
func (s side) postRecv(requests ...request) {
	s.t.Helper()
	if n, err := postReceives.on(s.end, postArgs{s.receives(), requests, false}); err != nil {
		s.fatalf("post recv took %d of %d: %v", n, len(requests), err)
	}
}

// do posts requests and waits until the signaled ones among them completed.
func (s side) do(requests ...request) {
	s.t.Helper()
	s.post(requests...)
	s.expectSent(done(requests...)...)
}

// deliver posts requests at side a and waits for what they bring to side b, which
// polls, and then for their completions.
func (l link) deliver(requests []request, wants ...want) {
	l.a.t.Helper()
	l.a.post(requests...)
	l.b.expectReceived(wants...)
	l.b.received.expectNone("more than was sent")
	l.a.expectSent(done(requests...)...)
}

// write has a Write or a WriteImm carried out, and posts the receive for the latter.
func (l link) write(r request) {
	l.a.t.Helper()
	if r.Op == transport.OpWrite {
		l.a.do(r)
		return
	}
	l.b.postRecv(recv(2, place{}))
	l.deliver([]request{r}, receivedImm(2, r.size(), r.Imm))
}

// close closes both sides.
func (l link) close() {
	l.a.t.Helper()
	l.a.close()
	l.b.close()
}

// close closes the side's connection.
func (s side) close() {
	s.t.Helper()
	closeObject.must(s.end, s.conn.Conn)
}

// err is the error with which the connection ended, or nil.
func (s side) err() error {
	_, err := connError.on(s.end, s.conn.Conn)
	return err
}

// awaitEnd waits until the connection has ended, and returns why.
func (s side) awaitEnd() error {
	s.t.Helper()
	awaitConnEnd.must(s.end, s.conn.Conn)
	err := s.err()
	if err == nil {
		s.fatalf("Conn.Done is closed, but Conn.Err is nil")
	}
	return err
}

// expectEnd waits until the connection has ended, with an error of this kind.
func (s side) expectEnd(want error) {
	s.t.Helper()
	if err := s.awaitEnd(); !errors.Is(err, want) {
		s.fatalf("Conn.Err: %v; should be: %v", err, want)
	}
}

// want is what a completion has to say.
type want struct {
	id     uint64
	op     transport.Op
	status transport.Status
	bytes  int // received; -1: not looked at
	imm    uint32
	hasImm bool
}

// done is wanted for requests that went well: the signaled ones complete.
func done(requests ...request) (wants []want) {
	for _, r := range requests {
		if r.Flags&transport.Signaled != 0 {
			wants = append(wants, ended(r, transport.StatusOK))
		}
	}
	return wants
}

// ended is wanted for a request that ended in a status.
func ended(r request, status transport.Status) want {
	return want{id: r.ID, op: r.Op, status: status, bytes: -1}
}

// flushed is wanted for requests of which nothing was done.
func flushed(requests ...request) (wants []want) {
	for _, r := range requests {
		wants = append(wants, ended(r, transport.StatusFlushed))
	}
	return wants
}

// received is wanted for a receive that took a Send.
func received(id uint64, bytes int) want { return want{id: id, op: transport.OpRecv, bytes: bytes} }

// receivedImm is wanted for a receive that took a WriteImm.
func receivedImm(id uint64, bytes int, imm uint32) want {
	return want{id: id, op: transport.OpRecvImm, bytes: bytes, imm: imm, hasImm: true}
}

// problem is how a completion differs from the wanted one, or "".
func (w want) problem(c transport.Completion, conn uint32, cfg *Config) string {
	op := w.op
	if w.op == transport.OpRecv && c.Op == transport.OpRecvImm && w.status != transport.StatusOK {
		op = c.Op // which of the two a failed receive would have been is open
	}
	switch {
	case c.Conn != conn:
		return fmt.Sprintf("it names connection %d, not %d", c.Conn, conn)
	case c.ID != w.id:
		return fmt.Sprintf("it names request %d, not %d", c.ID, w.id)
	case !cfg.means(c.Status, w.status):
		return fmt.Sprintf("its status is %q, not %q", c.Status, w.status)
	case c.Op != op:
		return fmt.Sprintf("its operation is %v, not %v", c.Op, op)
	case c.HasImm != w.hasImm || c.Imm != w.imm:
		return fmt.Sprintf("its immediate data is %#x (%v), not %#x (%v)", c.Imm, c.HasImm, w.imm, w.hasImm)
	case w.bytes >= 0 && int(c.Bytes) != w.bytes:
		return fmt.Sprintf("it tells of %d bytes, not %d", c.Bytes, w.bytes)
	}
	return ""
}

// expectSent waits for completions of posted requests, in this order.
func (s side) expectSent(wants ...want) {
	s.t.Helper()
	s.expect(s.sent, "send queue", wants)
}

// expectReceived waits for completions of receives, in this order.
func (s side) expectReceived(wants ...want) {
	s.t.Helper()
	s.expect(s.received, "receive queue", wants)
}

func (s side) expect(q queue, name string, wants []want) {
	s.t.Helper()
	got, err := collectCompletions.on(q.end, collectArgs{Queue: q.id, N: len(wants)})
	for i, c := range got {
		if problem := wants[i].problem(c, s.conn.ID, &s.pair.cfg); problem != "" {
			s.fatalf("%s, completion %d of %d: %s\n\tgot: %+v", name, i+1, len(wants), problem, got)
		}
	}
	if err != nil {
		s.fatalf("%s: %v\n\tgot: %+v", name, err, got)
	}
}

// expectNone checks that neither queue has a completion.
func (s side) expectNone(what string) {
	s.t.Helper()
	s.sent.expectNone(what)
	s.received.expectNone(what)
}

// expectWorking checks that a connection moves data both ways.
func (l link) expectWorking(what string) {
	l.a.t.Helper()
	l.eachWay(func(l link) {
		l.a.t.Helper()
		const n = 100
		from, payload := l.a.filled(n, transport.LocalOnly)
		to := l.b.alloc(2*n, transport.RemoteWrite)
		if l.a.caps.Ops.Has(transport.OpWrite) {
			l.a.do(write(1, from.all(), to.remote(0, n)))
			to.expect(what+": written bytes", 0, n, payload)
		}
		if l.a.caps.Ops.Has(transport.OpSend) {
			l.b.postRecv(recv(2, to.at(n, n)))
			l.deliver([]request{send(3, from.all())}, received(2, n))
			to.expect(what+": sent bytes", n, n, payload)
		}
		from.close()
		to.close()
	})
}
