package invoke

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/transport"
)

// loop executes a worker's calls. All of it belongs to the goroutine of Serve.
type loop struct {
	w        *Worker
	sessions []*session // by index, nil where there is none
	free     []uint32   // indexes
	last     uint32     // generation of the last session

	completions [workerBatch]transport.Completion
	acks        [workerBatch / 4]transport.Completion // of replies
	next, count int                                   // of completions: not handled yet, all
	noticed     int64                                 // when completions were polled, in ticks
	refusing    bool                                  // drained

	executing int          // functions beside the loop
	waiting   []*execution // for room there

	rendezvousSessions []*session // with calls beyond the slots
	part               [1]transport.WorkRequest
	stuck              int64 // since when these make no progress, by now(); 0 if they do

	ctx      *callContext
	call     call                              // the last one that was noticed
	running  *call                             // whose function runs on this goroutine, or nil
	idle     int64                             // since when none has, in ticks
	staged   [replyBatch]transport.WorkRequest // replies to be posted
	length   int                               // of staged
	of       *session                          // whose replies they are
	backlogs int                               // sessions with one
	since    int64                             // when the first of them was staged, in ticks

	brief []bool // by function: whether its last execution took no longer than delay

	tally       tally
	unpublished int // calls

	tick   tickLength
	delay  int64 // replyDelay in ticks
	spin   int64 // most that the loop polls before it sleeps, in ticks
	polled int64 // without calls, not told to a meter yet, in ticks
}

const (
	// workerBatch is how many requests a worker notices at once.
	workerBatch = 256
	// replyBatch is how many replies are posted at once, at most: more would keep
	// the client waiting, which could go on meanwhile.
	replyBatch = 4
	// replyDelay bounds how long a reply waits for others to be posted with, unless
	// a function takes longer than it did the last time.
	replyDelay = time.Microsecond
)

// call is a call on its way through the worker.
type call struct {
	session    *session
	slot       *workerSlot
	index      uint32 // of the slot
	function   uint32
	length     uint32 // of the input
	beyond     bool   // input or result go beyond the slot
	result     []byte // room for the result in the slot
	returned   transport.RemoteSpan
	noticed    int64       // in ticks
	started    int64       // in ticks
	deadline   int64       // by now(); 0 for none
	metadata   Metadata    // nil if there are none
	rendezvous *rendezvous // the call's part of one, or nil
}

func (l *loop) init(w *Worker) {
	l.w = w
	l.sessions = make([]*session, w.max)
	for i := range l.sessions {
		l.free = append(l.free, uint32(w.max-1-i))
	}
	l.ctx = &callContext{closing: w.life.Done()}
	l.tick = calibrated()
	l.delay = int64(replyDelay) << tickShift / int64(l.tick)
	l.spin = math.MaxInt64
	if spin := w.spin; spin != transport.Hot {
		l.spin = int64(min(spin, time.Second)) << tickShift / int64(l.tick)
	}
	l.idle = ticks()
}

// serve runs until the worker is closed.
func (l *loop) serve() error {
	for {
		if done, err := l.run(); done {
			return err
		}
	}
}

// run handles requests until the worker is closed, or a function panics: then it
// answers the call and returns done == false.
func (l *loop) run() (done bool, err error) {
	defer l.recoverCrash()
	for {
		for l.next < l.count {
			c := &l.completions[l.next]
			l.next++
			if c.Op != transport.OpRecvImm || c.Status != transport.StatusOK {
				l.failed(c)
				continue
			}
			if l.w.attention.Load() && l.attend() {
				return true, nil
			}
			l.request(c)
		}
		l.flush()
		if l.backlogs > 0 {
			l.retry()
		}
		if len(l.rendezvousSessions) > 0 {
			l.advance()
		}
		if l.w.attention.Load() && l.attend() {
			return true, nil
		}
		if err := l.wait(); err != nil {
			return true, err
		}
	}
}

// wait fills completions.
func (l *loop) wait() error {
	q := l.w.requestQueue
	n, err := q.Poll(l.completions[:])
	if n == 0 && err == nil {
		l.publish()
		n, err = l.sleep()
	}
	l.next, l.count = 0, n
	if n > 0 {
		l.noticed = ticks()
		l.polled += min(l.noticed-l.idle, l.spin)
		l.idle = l.noticed
	}
	if n > 1 {
		l.applyCancels()
	}
	return err
}

// sleep waits for completions, or until the loop is wanted elsewhere.
func (l *loop) sleep() (int, error) {
	if len(l.rendezvousSessions) > 0 {
		l.pause()
		return 0, nil
	}
	ctx := l.w.sleep
	if l.backlogs > 0 {
		short, cancel := context.WithTimeout(ctx, backlogPause)
		defer cancel()
		ctx = short
	}
	n, err := l.w.requestQueue.Wait(ctx, l.completions[:], l.w.spin)
	if ctx.Err() != nil {
		err = nil
	}
	return n, err
}

// request answers a request.
func (l *loop) request(c *transport.Completion) {
	if l.length > 0 && (l.of.id != c.ID || l.lasting(functionOf(c.Imm))) {
		l.flush() // first: it may find that sessions have ended
	}
	s := l.sessions[indexOf(c.ID)]
	if s == nil || s.id != c.ID {
		return // of a session that ended
	}
	l.of = s
	if s.taken++; s.taken >= 2*len(s.receives) && !l.restock(s) {
		return
	}
	index, kind, function := decodeRequestImm(c.Imm)
	length := c.Bytes - headerBytes // wraps around if there is no header
	if index >= uint32(len(s.slots)) || length > uint32(s.layout.slotBytes) {
		l.misfit(s, index, kind, function, c)
		return
	}
	slot := &s.slots[index]
	if slot.rendezvous != nil || slot.execution != nil {
		l.drop(s, fmt.Errorf("it broke the protocol: a request in slot %d, whose call is not answered", index))
		return
	}
	slot.id += uint64(len(s.slots))
	k := &l.call // field by field: see setWriteImm
	k.session, k.slot, k.index, k.function, k.length = s, slot, index, function, length
	k.result, k.returned, k.deadline, k.metadata, k.noticed, k.started = slot.result, slot.returned, 0, nil, l.noticed, l.idle
	if kind != kindPlain && !l.prepare(k, kind) {
		return
	}
	table := *l.w.registry.table.Load()
	switch {
	case l.refusing:
		l.answer(k, StatusRevoked, revokedMessage)
	case int(function) >= len(table):
		l.answer(k, StatusNotFound, fmt.Sprintf("there is no function with index %d", function))
	case slot.givenUp():
		l.answer(k, StatusCanceled, canceledMessage)
	case kind == kindFull && k.beyond:
		l.begin(k)
	case l.w.cfg.Concurrency > 1 && function != lookupFunction:
		l.detach(k, slot.input[:k.length:k.length], k.result)
	default:
		l.execute(k, &table[function])
	}
}

// lasting reports whether a function may keep the replies of others waiting.
func (l *loop) lasting(function uint32) bool {
	return uint64(function) >= uint64(len(l.brief)) || !l.brief[function]
}

// took notes how long an execution took, in ticks.
func (l *loop) took(function uint32, ticks int64) {
	if uint64(function) >= uint64(len(l.brief)) {
		l.brief = append(l.brief, make([]bool, int(function)+1-len(l.brief))...)
	}
	l.brief[function] = ticks <= l.delay
}

// execute calls the function and stages the reply.
func (l *loop) execute(k *call, f *registered) {
	l.enter(k)
	n, err := f.f(l.ctx, k.slot.input[:k.length:k.length], k.result)
	l.leave(k)
	if err != nil || uint(n) > uint(len(k.result)) {
		l.replyFailure(k, f, n, err)
		return
	}
	l.reply(k, f, StatusOK, 0, n)
}

// enter makes the context that of a call whose function is about to run here.
func (l *loop) enter(k *call) {
	l.running = k
	l.ctx.slot, l.ctx.deadline = k.slot, k.deadline
	if k.metadata != nil {
		l.ctx.metadata = k.metadata
		l.ctx.spent.Store(true)
	}
	order.Publish64(&k.slot.running, callMark(k.slot.id))
}

// leave ends what enter began.
func (l *loop) leave(k *call) {
	order.Publish64(&k.slot.running, 0)
	l.running = nil
	if l.ctx.spent.Load() {
		l.replaceContext()
	}
}

// reply stages the reply of an executed call, n bytes of which lie in k.result,
// and accounts for it.
func (l *loop) reply(k *call, f *registered, status Status, code uint32, n int) {
	end := ticks()
	h := replyHeader{
		id: k.slot.id, status: status, entered: true, code: code, bytes: uint32(n),
		execution: time.Duration(l.tick.ns(end - k.started)), queue: time.Duration(l.tick.ns(k.started - k.noticed)),
	}
	h.encode(k.slot.reply)
	l.stage(k, status, n)
	if k.session.meter != nil {
		l.meter(k, f, &h) // first: what a client has was counted, also when the process is killed then
	}
	if l.length == 1 {
		l.since = end
	}
	if l.length == replyBatch || end-l.since > l.delay || l.next == l.count {
		l.flush()
	}
	l.account(k, &h)
	l.took(k.function, end-k.started)
	l.idle = end
}

// meter tells the session's meter, if it has one, of an executed call.
func (l *loop) meter(k *call, f *registered, h *replyHeader) {
	if k.session.meter == nil || k.function == lookupFunction {
		return
	}
	out := 0
	if h.status == StatusOK {
		out = int(h.bytes)
	}
	k.session.meter.Executed(Execution{
		Function: f.name, Status: h.status, BytesIn: int(k.length), BytesOut: out, Execution: h.execution, Queue: h.queue,
		Polled: time.Duration(l.tick.ns(l.polled)),
	})
	l.polled = 0
}

// account counts an executed call.
func (l *loop) account(k *call, h *replyHeader) {
	l.tally.calls++
	l.tally.bytesIn += uint64(k.length)
	l.tally.busy += uint64(h.execution)
	if h.status == StatusOK {
		l.tally.bytesOut += uint64(h.bytes)
	} else {
		l.tally.errors++
	}
	if l.unpublished++; l.unpublished >= publishEvery {
		l.publish()
	}
}

// stage adds the reply of n bytes in the call's slot to those to be posted.
func (l *loop) stage(k *call, status Status, n int) {
	s := k.session
	wr := &l.staged[l.length]
	setWriteImm(wr, s.id, k.slot.local.Slice(0, headerBytes+n), k.returned, replyImm(k.index, status, k.slot.id))
	if uint32(headerBytes+n) <= s.inlineBytes {
		wr.Flags |= transport.Inline
	}
	if s.sent++; s.sent >= s.signalEvery {
		s.sent = 0
		wr.Flags |= transport.Signaled
	}
	l.length++
}

func (l *loop) publish() {
	if l.unpublished > 0 {
		l.unpublished = 0
		l.w.published.store(&l.tally)
	}
}
