package transporttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
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
	Posters   int
	Pollers   int
}

// crowdResult counts the calls that got ErrConcurrentUse.
type crowdResult struct{ Refused int }

// runCrowd has several goroutines post sends, post receives and poll at once.
// What was taken completes exactly once.
var runCrowd = define("crowd", func(a *agent, args crowdArgs) (crowdResult, error) {
	near, err := a.loop(args.Near)
	if err != nil {
		return crowdResult{}, err
	}
	far, err := a.loop(args.Far)
	if err != nil {
		return crowdResult{}, err
	}
	c := &crowdState{patience: a.patience, count: int64(args.Count)}
	c.run(args.Posters, func(id uint64) error {
		return one(near.conn.Post(transport.Send(id, transport.Span{}).With(transport.Signaled)))
	})
	c.run(args.Posters, func(id uint64) error { return one(far.conn.PostRecv(transport.Recv(id, transport.Span{}))) })
	sent, received := c.poll(args.Pollers, near.sent), c.poll(args.Pollers, far.received)
	c.group.Wait()
	err = errors.Join(append(c.errs, sent.complete(args.Count), received.complete(args.Count))...)
	return crowdResult{int(c.refused.Load())}, err
})

// one turns the outcome of posting one request into an error.
func one(n int, err error) error {
	if err == nil && n != 1 || err != nil && n != 0 {
		return fmt.Errorf("%w: a post of one request took %d: %w", errUnexpected, n, err)
	}
	return err
}

type crowdState struct {
	patience time.Duration
	count    int64
	group    sync.WaitGroup
	refused  atomic.Int64 // ErrConcurrentUse

	mu   sync.Mutex
	errs []error
}

func (c *crowdState) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, err)
}

// patiently repeats a call until it did its work.
func (c *crowdState) patiently(call func() error) bool {
	for idle := (pause{}); ; idle.wait() {
		switch err := call(); {
		case err == nil:
			return true
		case errors.Is(err, transport.ErrConcurrentUse):
			c.refused.Add(1)
		case !errors.Is(err, transport.ErrQueueFull):
			c.fail(err)
			return false
		}
		if idle.waited() > c.patience {
			c.fail(fmt.Errorf("%w (%v): anything in a crowd", errDeadline, c.patience))
			return false
		}
	}
}

// run has n goroutines post requests with the IDs 0 to count-1.
func (c *crowdState) run(n int, post func(id uint64) error) {
	var next atomic.Int64
	for range n {
		c.group.Add(1)
		go func() {
			defer c.group.Done()
			for id := next.Add(1) - 1; id < c.count; id = next.Add(1) - 1 {
				if !c.patiently(func() error { return post(uint64(id)) }) {
					return
				}
			}
		}()
	}
}

// tally counts the completions of a crowd.
type tally struct {
	mu    sync.Mutex
	times map[uint64]int
}

// poll has n goroutines poll until all requests' completions have come.
func (c *crowdState) poll(n int, q *transport.Queue) *tally {
	t := &tally{times: map[uint64]int{}}
	var polled atomic.Int64
	for range n {
		c.group.Add(1)
		go func() {
			defer c.group.Done()
			var got [3]transport.Completion
			for polled.Load() < c.count {
				ok := c.patiently(func() error {
					n, err := q.Poll(got[:])
					for _, completion := range got[:n] {
						if completion.Status != transport.StatusOK {
							return completion.Err()
						}
						t.add(completion.ID)
						polled.Add(1)
					}
					if n == 0 && err == nil && polled.Load() < c.count {
						err = transport.ErrQueueFull // nothing yet: once more
					}
					return err
				})
				if !ok {
					return
				}
			}
		}()
	}
	return t
}

func (t *tally) add(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times[id]++
}

// complete checks that the IDs 0 to count-1 came once each.
func (t *tally) complete(count int) error {
	for id := range uint64(count) {
		if t.times[id] != 1 {
			return fmt.Errorf("%w: in a crowd, request %d completed %d times", errUnexpected, id, t.times[id])
		}
	}
	if len(t.times) != count {
		return fmt.Errorf("%w: in a crowd, %d requests completed, %d were posted", errUnexpected, len(t.times), count)
	}
	return nil
}

func crowd(p *pair) {
	for _, e := range p.ends() {
		l := p.connectEnds(e, e, shape{})
		r := runCrowd.must(e, crowdArgs{l.a.loopArgs(), l.b.loopArgs(), p.rounds(2000), 3, 3})
		p.Logf("end %s: %d calls were refused with ErrConcurrentUse", e.name, r.Refused)
	}
}

// chaosArgs describe goroutines that use everything at once while things are
// closed under them.
type chaosArgs struct {
	Loop    loopArgs
	Domain  handle
	To      transport.RemoteSpan
	Seed    uint64
	Close   bool // connection, then queues; otherwise another command closes
	Moments time.Duration
}

// runChaos posts, polls, waits, allocates and closes from a goroutine each, until
// the connection and the queues are closed. Every error has to be one that Close
// explains.
var runChaos = define("chaos", func(a *agent, args chaosArgs) (none, error) {
	l, err := a.loop(args.Loop)
	if err != nil {
		return false, err
	}
	d, err := get[*transport.ProtectionDomain](a, args.Domain)
	if err != nil {
		return false, err
	}
	c := &chaos{loop: l, over: make(chan struct{})}
	random := rand.New(rand.NewPCG(args.Seed, 0))
	ctx, cancel := context.WithTimeout(context.Background(), a.patience)
	defer cancel()
	own, err := d.Alloc(128, transport.LocalOnly)
	if errors.Is(err, transport.ErrClosed) {
		return false, nil // that was quick
	}
	if err != nil {
		return false, err
	}
	a.put(own)
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
		time.Sleep(time.Duration(random.Int64N(int64(args.Moments))))
		c.note(l.conn.Close())
		time.Sleep(time.Duration(random.Int64N(int64(args.Moments))))
		c.note(l.sent.Close())
		c.note(l.received.Close())
	}
	select {
	case <-c.closed(l.sent, l.received):
	case <-ctx.Done():
		c.note(fmt.Errorf("%w (%v): the queues to be closed", errDeadline, a.patience))
	}
	close(c.over)
	c.group.Wait()
	return false, errors.Join(c.errs...)
})

type chaos struct {
	*loop
	over  chan struct{}
	group sync.WaitGroup
	mu    sync.Mutex
	errs  []error
}

// forever repeats something until it is refused because it was closed, or all is
// over.
func (c *chaos) forever(do func() error) {
	c.group.Add(1)
	go func() {
		defer c.group.Done()
		for {
			select {
			case <-c.over:
				return
			default:
			}
			err := do()
			if errors.Is(err, transport.ErrClosed) {
				return
			}
			c.note(err)
			runtime.Gosched() // or the few processors serve a dozen such loops by turns of 10 ms
		}
	}()
}

// note keeps an error that Close does not explain.
func (c *chaos) note(err error) {
	for _, expected := range []error{transport.ErrClosed, transport.ErrQueueFull, transport.ErrConcurrentUse} {
		if errors.Is(err, expected) {
			return
		}
	}
	if err != nil {
		c.mu.Lock()
		c.errs = append(c.errs, err)
		c.mu.Unlock()
	}
}

// closed is closed once the queues are.
func (c *chaos) closed(queues ...*transport.Queue) <-chan struct{} {
	all := make(chan struct{})
	c.group.Add(1)
	go func() {
		defer c.group.Done()
		defer close(all)
		for _, q := range queues {
			for {
				if _, err := q.Poll(nil); errors.Is(err, transport.ErrClosed) {
					break
				}
				select {
				case <-c.over:
					return
				case <-time.After(lastNap):
				}
			}
		}
	}()
	return all
}

// startChaos starts it at both sides of a new connection.
func (p *pair) startChaos(closing bool) []*future[none] {
	l := p.connect(shape{sendDepth: 16, recvDepth: 16})
	var running []*future[none]
	l.eachWay(func(l link) {
		to := l.b.alloc(64, transport.RemoteWrite)
		running = append(running, runChaos.start(l.a.end, chaosArgs{l.a.loopArgs(), l.a.domain, to.whole, p.random.Uint64(), closing, 3 * time.Millisecond}))
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
var closeDevice = define("close device", func(a *agent, _ none) (none, error) {
	a.mu.Lock()
	dev := a.dev
	a.mu.Unlock()
	return false, dev.Close()
})

func closeDevices(p *pair) {
	for round := range p.rounds(8) {
		running := append(p.startChaos(false), p.startChaos(false)...)
		p.dally(3 * time.Millisecond)
		first, second := p.a, p.b
		if round%2 == 1 {
			first, second = p.b, p.a
		}
		closeDevice.must(first, false)
		closeDevice.must(second, false)
		for _, f := range running {
			f.must()
		}
		p.close()
		p.open(p.a, p.a.url)
		p.open(p.b, p.b.url)
	}
}
