package client

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

// Client makes calls over several workers. All methods may be called from
// anywhere.
type Client struct {
	cfg  Config
	spin time.Duration
	life context.Context
	end  context.CancelFunc

	lanes   []*lane
	running sync.WaitGroup // lanes, and watchIdle
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
	sleepers []*lane   // those whose state sleeps, the last to fall asleep at the end
	returned sync.Cond // a lane that was borrowed is not any more
}

// New makes a client, whose lanes begin to dial at once. It does not wait for
// them; calls do.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	cl := &Client{cfg: cfg, spin: cfg.Mode.Spin()}
	cl.life, cl.end = context.WithCancel(context.Background())
	cl.returned.L = &cl.mu
	cl.idlers.New = func() any { return &call{sink: make(chan *call, 1)} }
	for i := range cfg.Lanes {
		cl.lanes = append(cl.lanes, newLane(cl, i))
	}
	cl.count[laneDown] = len(cl.lanes)
	for _, l := range cl.lanes {
		cl.running.Go(l.run)
	}
	if cfg.Idle > 0 {
		cl.running.Go(cl.watchIdle)
	}
	return cl, nil
}

// Close ends everything: calls that wait or are in flight fail with ErrClosed,
// connections are closed. It returns when the goroutines of the client have ended.
func (cl *Client) Close() error {
	cl.mu.Lock()
	first := !cl.closed
	cl.closed = true
	rest := cl.drain()
	cl.mu.Unlock()
	if first {
		cl.end()
	}
	for _, c := range rest {
		c.finish(c.failure(ErrClosed))
	}
	cl.running.Wait()
	return nil
}

// Call calls a function by name on the next free worker, waits for the reply and
// copies the result to out; it returns the result's length in bytes. in and out
// are the caller's, and in use until Call returns. When the context ends, Call
// returns as soon as nothing uses them any more. There is room for a result of len(out), or of CallOptions.Room if that
// is more. A timeout of the options is that of an attempt. With NoWait the call fails with
// ErrFull if the queue is.
//
// The error is an *Error, which says what was tried, and wraps what
// invoke.Client.Call returns: *invoke.Error (see Status) or *invoke.GoneError. A
// call that found no worker before its deadline says why there was none.
func (cl *Client) Call(ctx context.Context, function string, in, out []byte, options ...invoke.CallOptions) (int, error) {
	c := cl.idlers.Get().(*call)
	c.ctx, c.function, c.in, c.out, c.room, c.drives = ctx, function, in, out, len(out), cl.spin > 0
	o := c.apply(options)
	cl.begin(ctx, c)
	if l := cl.borrow(c); l != nil {
		l.carry(c)
	} else if err := cl.enter(c, o.NoWait); err != nil {
		return 0, err
	}
	select {
	case <-c.sink:
	case <-ctx.Done():
		cl.cancel(c, ctx.Err())
		<-c.sink               // at once, or when a lane has let go of in or out
		return c.length, c.err // a lane may still know it
	}
	n, err := c.length, c.err
	if err == nil { // else the error has its attempts
		*c = call{sink: c.sink}
		cl.idlers.Put(c)
	}
	return n, err
}
