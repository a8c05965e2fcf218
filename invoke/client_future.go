package invoke

import (
	"context"
	"fmt"
	"time"
)

// Future is a call in flight: a small value without a resource of its own. Each
// has to be waited for or abandoned once, or its credit never comes back.
type Future struct {
	client *Client
	slot   uint32
	id     uint64
}

// Go sends in to the function f and returns without waiting for the reply. in
// is copied, unless it is longer than a slot and in ClientConfig.Memory: then the worker
// reads it there, until the call is answered. If no credit is free it waits for one to come out of quarantine,
// unless the options forbid it; when none will, because the caller has to wait for a
// Future first, it fails with ErrNoCredit. The context bounds that wait, and its
// deadline travels with the call; the wait for the reply has a context of its own.
func (c *Client) Go(ctx context.Context, f *Handle, in []byte, options ...CallOptions) (Future, error) {
	if err := c.owner.Acquire(); err != nil {
		return Future{}, c.refuse(err, StartedNo)
	}
	o := CombineOptions(options...)
	s, err := c.begin(ctx, f, in, &o)
	var future Future
	if err == nil {
		future = Future{client: c, slot: s.index, id: s.id}
	}
	c.owner.Release()
	return future, err
}

// GoBatch is Go for several inputs at once, which costs less than one after the
// other: their requests are posted together. It stores the calls into futures,
// which is at least as long as inputs, and returns how many were begun: all, or
// fewer with an error. It never waits for a credit; ErrNoCredit means that there
// were not enough.
func (c *Client) GoBatch(ctx context.Context, f *Handle, inputs [][]byte, futures []Future) (int, error) {
	if len(futures) < len(inputs) {
		return 0, fmt.Errorf("invoke: room for %d futures of %d calls", len(futures), len(inputs))
	}
	if err := c.owner.Acquire(); err != nil {
		return 0, c.refuse(err, StartedNo)
	}
	n, err := c.beginAll(ctx, f, inputs, futures)
	c.owner.Release()
	return n, err
}

func (c *Client) beginAll(ctx context.Context, f *Handle, inputs [][]byte, futures []Future) (begun int, err error) {
	timeout, err := c.admit(ctx, f, 0)
	if err != nil {
		return 0, err
	}
	for i, in := range inputs {
		var s *clientSlot
		if s, err = c.credit(ctx, false); err != nil {
			break
		}
		if len(in) > c.layout.slotBytes {
			if err = c.load(s, f, in, 0, 0, nil); err != nil {
				break
			}
		} else {
			copy(s.input, in)
		}
		c.stage(s, f, len(in), timeout)
		futures[i] = Future{client: c, slot: s.index, id: s.id}
		if c.length < len(c.staged) {
			continue
		}
		n, err := c.flush(ctx)
		if begun += n; err != nil {
			return begun, err
		}
	}
	n, flushErr := c.flush(ctx)
	if flushErr != nil {
		err = flushErr
	}
	return begun + n, err
}

// Wait waits for the reply, copies the result to out, and returns its length in
// bytes. Calls may be waited for in any order. If the context ends first, the
// call is abandoned, as with Client.Call, whose errors are those of Wait, too.
func (f Future) Wait(ctx context.Context, out []byte) (int, error) {
	c := f.client
	if err := c.owner.Acquire(); err != nil {
		return 0, c.refuse(err, StartedUnknown)
	}
	n, err := f.wait(ctx, out)
	c.owner.Release()
	return n, err
}

func (f Future) wait(ctx context.Context, out []byte) (int, error) {
	s := f.find()
	if s == nil {
		return 0, ErrCollected
	}
	if err := f.client.await(ctx, s); err != nil {
		return 0, err
	}
	return f.client.collect(s, out)
}

// Take is Wait that makes the slice for the result, which is the caller's.
func (f Future) Take(ctx context.Context) ([]byte, error) {
	c := f.client
	if err := c.owner.Acquire(); err != nil {
		return nil, c.refuse(err, StartedUnknown)
	}
	defer c.owner.Release()
	s := f.find()
	if s == nil {
		return nil, ErrCollected
	}
	if err := c.await(ctx, s); err != nil {
		return nil, err
	}
	size := 0
	if !s.gone && s.status == StatusOK {
		n, err := c.resultBytes(s)
		if err != nil {
			c.release(s)
			return nil, err
		}
		size = n
	}
	out := make([]byte, size)
	if _, err := c.collect(s, out); err != nil {
		return nil, err
	}
	return out, nil
}

// find is the slot of the call, nil when the call was collected or abandoned.
func (f Future) find() *clientSlot {
	s := &f.client.slots[f.slot]
	if s.id != f.id || s.state != slotInFlight && s.state != slotFinished {
		return nil
	}
	return s
}

// Ready reports, without waiting, whether Wait would return at once.
func (f Future) Ready() (bool, error) {
	c := f.client
	if err := c.owner.Acquire(); err != nil {
		return false, c.refuse(err, StartedUnknown)
	}
	defer c.owner.Release()
	s := f.find()
	if s == nil {
		return false, ErrCollected
	}
	if s.state == slotInFlight {
		c.look()
	}
	return s.state != slotInFlight, nil
}

// Abandon gives the call up: the worker is asked not to start it, and its slot
// becomes a credit when the reply has come.
func (f Future) Abandon() error {
	c := f.client
	if err := c.owner.Acquire(); err != nil {
		return c.refuse(err, StartedUnknown)
	}
	defer c.owner.Release()
	s := f.find()
	switch {
	case s == nil:
		return ErrCollected
	case s.state != slotInFlight:
		if c.isOffered(s) && c.finished(s) != nil {
			c.conn.Close() // or the worker would keep the result
		}
		c.release(s)
	default:
		c.abandon(s)
	}
	return nil
}

// look takes what completions there are.
func (c *Client) look() {
	n, err := c.replyQueue.Poll(c.completions[:])
	c.take(n)
	if err != nil {
		c.fail(err)
	}
}

// Credits is how a client's slots are used.
type Credits struct {
	Free        int // calls that can be begun now
	InFlight    int // unanswered, or answered and not collected
	Quarantined int // abandoned and unanswered
}

// Credits takes the replies that have come and counts the slots.
func (c *Client) Credits() (Credits, error) {
	if err := c.owner.Acquire(); err != nil {
		return Credits{}, c.refuse(err, StartedNo)
	}
	defer c.owner.Release()
	if c.failed == nil {
		c.look()
	}
	free := len(c.free)
	return Credits{Free: free, Quarantined: c.abandoned, InFlight: len(c.slots) - free - c.abandoned}, nil
}

// Timing is what the worker measured of a call.
type Timing struct {
	Execution time.Duration // in the function
	Queue     time.Duration // from the worker's noticing the request to its start
}

// Timing is about the reply that was collected last, before anything else is
// done with the client. ok is false if there is none.
func (c *Client) Timing() (t Timing, ok bool) {
	if c.owner.Acquire() != nil {
		return Timing{}, false
	}
	defer c.owner.Release()
	if c.collected == nil {
		return Timing{}, false
	}
	h := decodeReply(c.collected)
	return Timing{Execution: h.execution, Queue: h.queue}, true
}
