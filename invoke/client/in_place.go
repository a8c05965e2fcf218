package client

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

// InPlace is the input and the result of a call that copies neither: they are in
// registered memory of the connection to the worker that has the call. Fill and Take
// are called on the caller's goroutine, and their memory is theirs until they return.
type InPlace struct {
	// InputBytes and ResultBytes are how long the two can be.
	InputBytes, ResultBytes int
	// Fill writes the input, from the front on, and returns its length. It is called
	// for each attempt. If it fails the call does, with its error.
	Fill func(in []byte) (int, error)
	// Take gets the result of a call that succeeded. CallInPlace returns its error.
	Take func(result []byte) error
}

// placed is what a call in place needs while it is under way.
type placed struct {
	InPlace
	asked chan struct{} // the caller is to fill; of one element

	buffer *invoke.Buffer // of the attempt
	memory []byte         // for the input
	bytes  int            // of the input
	err    error          // of Fill
	// verdict is what becomes of a call whose lane went while the caller filled.
	verdict func()

	result   []byte
	begin    time.Time     // of the attempt
	elapsed  time.Duration // until it was answered
	returned atomic.Bool   // the caller is done with the result
}

// errNotFilled is the error of a Fill that did not return.
var errNotFilled = errors.New("client: Fill panicked")

// CallInPlace is Call for inputs and results in place, for those that are large. The
// Result has no Output. If the context ends while Fill or Take runs, it returns
// after that.
func (cl *Client) CallInPlace(ctx context.Context, function string, io InPlace, options ...invoke.CallOptions) (Result, error) {
	c := &call{ctx: ctx, function: function, sink: make(chan *call, 1), place: &placed{InPlace: io, asked: make(chan struct{}, 1)}}
	o := c.apply(options)
	cl.begin(ctx, c)
	if err := cl.enter(c, o.NoWait); err != nil {
		return Result{Lane: -1}, err
	}
	for ended := ctx.Done(); ; {
		select {
		case <-c.place.asked:
			cl.fill(c)
		case <-c.sink:
			r, err := c.outcome()
			if err == nil {
				err = cl.give(c)
			}
			return r, err
		case <-ended:
			cl.cancel(c, ctx.Err())
			ended = nil // it is done soon
		}
	}
}

// fill has the caller write the input, and gives it back to the lane.
func (cl *Client) fill(c *call) {
	pl, l := c.place, c.lane
	pl.err = errNotFilled
	defer func() {
		pl.buffer.Release()
		if c.state.CompareAndSwap(callFilling, callFilled) {
			l.alert()
		} else { // the lane has no worker any more
			pl.verdict()
		}
	}()
	if c.quit.Load() {
		pl.err = nil // the lane sees that, too
		return
	}
	pl.bytes, pl.err = pl.Fill(pl.memory)
}

// give hands the result to the caller, and its memory back to the lane.
func (cl *Client) give(c *call) error {
	defer func() {
		c.place.buffer.Release()
		c.place.returned.Store(true)
		c.lane.alert()
	}()
	return c.place.Take(c.place.result)
}

// alert makes the lane look at its calls.
func (l *lane) alert() {
	l.attention.Store(true)
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	if l.interrupt != nil {
		l.interrupt()
	}
}

// offer asks the caller for the input of a call.
func (l *lane) offer(c *call, f *function) error {
	pl := c.place
	b, err := l.conn.NewBuffer(pl.InputBytes, pl.ResultBytes)
	if err == nil {
		err = b.Hold()
	}
	if err != nil {
		return l.unsent(c, err)
	}
	pl.buffer, pl.memory = b, b.In()
	l.fly(flight{call: c, function: f, buffer: b})
	c.lane, c.worker = l, l.name
	c.state.Store(callFilling)
	pl.asked <- struct{}{}
	return nil
}

// sendFilled sends a call whose input is there. An error means that the worker is
// lost.
func (l *lane) sendFilled(i int) error {
	f := l.flights[i]
	c, pl := f.call, f.call.place
	c.state.Store(callHeld)
	err := pl.err
	if c.quit.Load() {
		err = c.givenUp(l.client.whyGivenUp(c), startedNo, "the call was not sent")
	}
	if err != nil {
		l.withdraw(i)
		c.finish(c.failure(err))
		return nil
	}
	pl.begin = time.Now()
	if err := f.buffer.Go(c.ctx, f.function.Handle, pl.bytes, invoke.CallOptions{Timeout: c.timeout, NoWait: true, Metadata: c.metadata}); err != nil {
		l.withdraw(i)
		return l.unsent(c, err)
	}
	l.flights[i].sent = true
	l.flights[i].limit = l.limit(c)
	l.launch(c)
	return nil
}

// withdraw removes a call that was not sent, and frees its buffer.
func (l *lane) withdraw(i int) {
	b := l.flights[i].buffer
	l.remove(i)
	l.discard(b)
}

// discard frees a buffer: now, or when the call that was given up is answered.
func (l *lane) discard(b *invoke.Buffer) {
	if b.Close() != nil {
		l.limbo = append(l.limbo, b)
	}
}

// reclaim frees buffers of which the callers, and the worker, have let go.
func (l *lane) reclaim() {
	lent := l.lent[:0]
	for _, pl := range l.lent {
		if pl.returned.Load() {
			l.discard(pl.buffer)
		} else {
			lent = append(lent, pl)
		}
	}
	clear(l.lent[len(lent):])
	l.lent = lent
	limbo := l.limbo
	l.limbo = l.limbo[len(l.limbo):]
	for _, b := range limbo {
		l.discard(b)
	}
}

// receive takes the result of a call in place that was answered.
func (l *lane) receive(c *call) error {
	pl := c.place
	result, err := pl.buffer.Wait(context.Background())
	pl.elapsed = time.Since(pl.begin)
	if err == nil {
		err = pl.buffer.Hold()
	}
	if err != nil {
		return err
	}
	pl.result = result
	pl.returned.Store(false)
	l.lent = append(l.lent, pl)
	return nil
}

// recall takes a call back that was not sent, because the lane has no worker any
// more. If its caller is just filling, they go on with it.
func (l *lane) recall(c *call, err error, again bool) {
	again = again && len(c.attempts) < l.client.cfg.Attempts
	cl, pl := l.client, c.place
	pl.verdict = func() {
		if again && c.ctx.Err() == nil {
			l.retries.Add(1)
			cl.again(c, err)
			return
		}
		c.finish(c.failure(err))
	}
	if !c.state.CompareAndSwap(callFilling, callHeld) {
		pl.verdict()
	}
}
