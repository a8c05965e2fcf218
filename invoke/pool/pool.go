package pool

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Pool makes calls over several workers. All methods may be called from
// anywhere.
type Pool struct {
	cfg  Config
	spin time.Duration
	life context.Context
	end  context.CancelFunc

	lanes   []*lane
	running sync.WaitGroup // lanes
	idlers  sync.Pool      // *call of Call

	_     [64]byte
	first atomic.Pointer[call] // of retries, or else of queue; what polling lanes look at
	_     [64]byte

	mu       sync.Mutex
	closed   bool
	retries  list // calls to be repeated, served first
	queue    list // at most cfg.Queue
	overflow list // calls whose callers wait for room in queue
	count    [laneStates]int
	sleepers []*lane // laneParked and laneDozing, the last to fall asleep at the end
}

// New makes a pool, whose lanes begin to dial at once. It does not wait for
// them; calls do.
func New(cfg Config) (*Pool, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pool{cfg: cfg, spin: cfg.Mode.Spin()}
	p.life, p.end = context.WithCancel(context.Background())
	p.idlers.New = func() any { return &call{sink: make(chan *call, 1)} }
	for i := range cfg.Lanes {
		p.lanes = append(p.lanes, newLane(p, i))
	}
	p.count[laneDown] = len(p.lanes)
	for _, l := range p.lanes {
		p.running.Go(l.run)
	}
	return p, nil
}

// Close ends everything: calls that wait or are in flight fail with ErrClosed,
// connections are closed. It returns when the goroutines of the pool have ended.
func (p *Pool) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	rest := p.drain()
	p.mu.Unlock()
	if first {
		p.end()
	}
	for _, c := range rest {
		c.finish(c.failure(ErrClosed))
	}
	p.running.Wait()
	return nil
}

// Call calls a function by name on the next free worker, waits for the reply and
// copies the result to out; it returns the result's length in bytes. in and out
// are the caller's, and in use until Call returns. When the context ends, Call
// returns at once.
//
// The error is an *Error, which says what was tried, and wraps what
// invoke.Client.Call returns: *invoke.Error (see Status) or *invoke.GoneError. A
// call that found no worker before its deadline says why there was none.
func (p *Pool) Call(ctx context.Context, function string, in, out []byte) (int, error) {
	c := p.idlers.Get().(*call)
	c.ctx, c.function, c.in, c.out, c.room = ctx, function, in, out, len(out)
	if err := ctx.Err(); err != nil {
		return 0, c.failure(c.givenUp(err, startedNo, "the call was not sent"))
	}
	if err := p.submit(c, false); err != nil {
		return 0, c.failure(err)
	}
	select {
	case <-c.sink:
	case <-ctx.Done():
		p.cancel(c, ctx.Err())
		<-c.sink               // at once, or when a lane has let go of in or out
		return c.length, c.err // a lane may still know it
	}
	n, err := c.length, c.err
	if err == nil { // else somebody has its attempts
		*c = call{sink: c.sink}
		p.idlers.Put(c)
	}
	return n, err
}
