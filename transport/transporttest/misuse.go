package transporttest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

var misuseTests = []test{
	{"misuse/a crowd posts and polls: each call does its work or ErrConcurrentUse", needs{ops: transport.Ops(transport.OpSend)}, crowd},
	{"misuse/Close from anywhere, in the middle of everything", needs{ops: transport.Ops(transport.OpSend, transport.OpWrite)}, closeFromAnywhere},
	{"misuse/Device.Close in the middle of everything", needs{ops: transport.Ops(transport.OpSend, transport.OpWrite)}, closeDevices},
}

// crowdArgs are those of a crowd of goroutines on one connection to itself.
type crowdArgs struct {
	Near, Far loopArgs // the two sides of the connection, both at this end
	Count     int      // messages to be sent
}

// crowdEach is how many goroutines do the same thing.
const crowdEach = 3

// runCrowd has several goroutines post sends, post receives and poll at once, and
// returns how many calls got ErrConcurrentUse. What was taken completes exactly once.
var runCrowd = define("crowd", func(a *agent, args crowdArgs) (int, error) {
	near, far := a.loop(args.Near), a.loop(args.Far)
	c := &crowdState{patience: a.patience, count: args.Count}
	c.post(func(id uint64) (int, error) {
		return near.conn.Post(transport.Send(id, transport.Span{}).With(transport.Signaled))
	})
	c.post(func(id uint64) (int, error) { return far.conn.PostRecv(transport.Recv(id, transport.Span{})) })
	sent, received := c.poll(near.sent), c.poll(far.received)
	c.group.Wait()
	return int(c.refused.Load()), errors.Join(c.join(), sent.complete(), received.complete())
})

// errorList collects errors of several goroutines.
type errorList struct {
	mu   sync.Mutex
	errs []error
}

func (l *errorList) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

func (l *errorList) join() error { return errors.Join(l.errs...) }

type crowdState struct {
	patience time.Duration
	count    int
	group    sync.WaitGroup
	refused  atomic.Int64 // ErrConcurrentUse
	errorList
}

// each has several goroutines do the same thing, until it is done or fails.
func (c *crowdState) each(do func()) {
	for range crowdEach {
		c.group.Go(func() {
			if err := catch(do); err != nil {
				c.add(err)
			}
		})
	}
}

// patiently repeats a call until it did its work.
func (c *crowdState) patiently(call func() error) {
	for idle := (pause{}); ; {
		err := call()
		switch {
		case err == nil:
			return
		case errors.Is(err, transport.ErrConcurrentUse):
			c.refused.Add(1)
		case !errors.Is(err, transport.ErrQueueFull):
			check(err)
		}
		check(idle.after(false, c.patience, "anything in a crowd"))
	}
}

// post has goroutines post requests with the IDs 0 to count-1.
func (c *crowdState) post(post func(id uint64) (int, error)) {
	var next atomic.Int64
	c.each(func() {
		for id := next.Add(1) - 1; id < int64(c.count); id = next.Add(1) - 1 {
			c.patiently(func() error {
				n, err := post(uint64(id))
				if (err == nil) != (n == 1) {
					return fmt.Errorf("%w: a post of one request took %d: %v", errUnexpected, n, err)
				}
				return err
			})
		}
	})
}

// tally counts the completions of a crowd's requests.
type tally []atomic.Int32

// poll has goroutines poll until all requests' completions have come.
func (c *crowdState) poll(q *transport.Queue) tally {
	t := make(tally, c.count)
	var polled atomic.Int64
	once := func(got []transport.Completion) error {
		n, err := q.Poll(got)
		for _, completion := range got[:n] {
			if completion.Status != transport.StatusOK || completion.ID >= uint64(c.count) {
				return fmt.Errorf("%w: in a crowd: %+v", errUnexpected, completion)
			}
			t[completion.ID].Add(1)
			polled.Add(1)
		}
		if n == 0 && err == nil && polled.Load() < int64(c.count) {
			return transport.ErrQueueFull // nothing yet: once more
		}
		return err
	}
	c.each(func() {
		got := make([]transport.Completion, 3)
		for polled.Load() < int64(c.count) {
			c.patiently(func() error { return once(got) })
		}
	})
	return t
}

// complete checks that each request completed once.
func (t tally) complete() error {
	for id := range t {
		if n := t[id].Load(); n != 1 {
			return fmt.Errorf("%w: in a crowd, request %d completed %d times", errUnexpected, id, n)
		}
	}
	return nil
}

func crowd(p *pair) {
	for _, e := range p.ends() {
		l := p.connectEnds(e, e, shape{})
		refused := runCrowd.must(e, crowdArgs{l.a.loopArgs(), l.b.loopArgs(), p.rounds(2000)})
		p.Logf("end %s: %d calls were refused with ErrConcurrentUse", e.name, refused)
	}
}

// chaosArgs describe goroutines that use everything at once while things are
// closed under them.
type chaosArgs struct {
	Loop   loopArgs
	Domain handle
	To     transport.RemoteSpan
	Seed   uint64
	Close  bool // connection, then queues, at random moments; otherwise another command closes
}

// chaosMoment is the longest wait before something is closed.
const chaosMoment = 3 * time.Millisecond

// runChaos posts, polls, waits, allocates and closes from a goroutine each, until
// the connection and the queues are closed. Every error has to be one that Close
// explains.
var runChaos = action("chaos", func(a *agent, args chaosArgs) {
	l, d := a.loop(args.Loop), get[*transport.ProtectionDomain](a, args.Domain)
	ctx, cancel := a.bound(0)
	defer cancel()
	own, err := d.Alloc(128, transport.LocalOnly)
	if errors.Is(err, transport.ErrClosed) {
		return // that was quick
	}
	check(err)
	a.put(own)
	c := new(chaos)
	c.forever(func() error {
		_, err := l.conn.Post(transport.Write(1, own.Span(0, 64), args.To).With(transport.Signaled), transport.Send(2, own.Span(0, 64)))
		return err
	})
	c.forever(func() error {
		_, err := l.conn.PostRecv(transport.Recv(1, own.Span(64, 64)))
		return err
	})
	c.forever(func() error {
		r, err := d.Alloc(64, transport.RemoteAll)
		if err != nil {
			return err
		}
		return r.Close()
	})
	for _, q := range []*transport.Queue{l.sent, l.received} {
		c.forever(func() error {
			var got [4]transport.Completion
			_, err := q.Poll(got[:])
			return err
		})
		c.forever(func() error {
			var got [4]transport.Completion
			_, err := q.Wait(ctx, got[:], spinTime)
			return err
		})
	}
	if args.Close {
		random := rand.New(rand.NewPCG(args.Seed, 0))
		time.Sleep(time.Duration(random.Int64N(int64(chaosMoment))))
		c.note(l.conn.Close())
		time.Sleep(time.Duration(random.Int64N(int64(chaosMoment))))
		c.note(l.sent.Close())
		c.note(l.received.Close())
	}
	c.note(until(a.patience, "the queues to be closed", func() bool { return isClosed(l.sent) && isClosed(l.received) }))
	c.over.Store(true)
	c.group.Wait()
	check(c.join())
})

func isClosed(q *transport.Queue) bool {
	_, err := q.Poll(nil)
	return errors.Is(err, transport.ErrClosed)
}

type chaos struct {
	over  atomic.Bool
	group sync.WaitGroup
	errorList
}

// forever repeats something until it is refused because it was closed, or all is
// over.
func (c *chaos) forever(do func() error) {
	c.group.Go(func() {
		for !c.over.Load() {
			err := do()
			if errors.Is(err, transport.ErrClosed) {
				return
			}
			c.note(err)
			runtime.Gosched() // or the few processors serve a dozen such loops by turns of 10 ms
		}
	})
}

// note keeps an error that Close does not explain.
func (c *chaos) note(err error) {
	explains := func(expected error) bool { return errors.Is(err, expected) }
	if err != nil && !slices.ContainsFunc([]error{transport.ErrClosed, transport.ErrQueueFull, transport.ErrConcurrentUse}, explains) {
		c.add(err)
	}
}

// startChaos starts it at both sides of a new connection.
func (p *pair) startChaos(closing bool) []*future[none] {
	l := p.connect(shape{sendDepth: 16, recvDepth: 16})
	var running []*future[none]
	l.eachWay(func(l link) {
		to := l.b.alloc(64, transport.RemoteWrite)
		running = append(running, runChaos.start(l.a.end, chaosArgs{l.a.loopArgs(), l.a.domain, to.whole, p.random.Uint64(), closing}))
	})
	return running
}

func closeFromAnywhere(p *pair) {
	for range p.rounds(15) {
		for _, f := range p.startChaos(true) {
			f.must()
		}
	}
}

// closeDevice closes an end's device with everything on it in use.
var closeDevice = action("close device", func(a *agent, _ none) { check(a.dev.Close()) })

func closeDevices(p *pair) {
	for round := range p.rounds(8) {
		running := append(p.startChaos(false), p.startChaos(false)...)
		p.dally(3 * time.Millisecond)
		for i := range 2 {
			closeDevice.must(p.ends()[(round+i)%2], false)
		}
		for _, f := range running {
			f.must()
		}
		p.close()
		p.open(p.a, p.a.url)
		p.open(p.b, p.b.url)
	}
}
