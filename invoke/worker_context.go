package invoke

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// errCallOver is why a context ended that was kept beyond its call.
var errCallOver = context.Canceled

// callContext is the context of the calls of a worker, one after the other.
// Making it costs nothing: it is reused until a function asks for Done, or finds
// that the call has ended; what they handed out must not come to life again.
type callContext struct {
	slot     *workerSlot     // of the call
	closing  <-chan struct{} // closed when the worker is closed
	deadline int64           // by now(); 0 for none
	metadata Metadata

	spent atomic.Bool // not to be reused
	mu    sync.Mutex
	done  chan struct{}
	err   error
}

// Deadline implements context.Context.
func (c *callContext) Deadline() (time.Time, bool) {
	if c.deadline == 0 {
		return time.Time{}, false
	}
	return time.Now().Add(time.Duration(c.deadline - now())), true
}

// Value implements context.Context. There is the Metadata, for MetadataOf.
func (c *callContext) Value(key any) any {
	if _, ok := key.(metadataKey); ok {
		return c.metadata
	}
	return nil
}

// Err implements context.Context.
func (c *callContext) Err() error {
	if c.spent.Load() {
		c.mu.Lock()
		err := c.err
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if c.deadline != 0 && now() >= c.deadline {
		return c.end(context.DeadlineExceeded)
	}
	if c.slot.givenUp() {
		return c.end(c.slot.whyGivenUp())
	}
	select {
	case <-c.slot.session.conn.Done():
		return c.end(context.Canceled)
	case <-c.closing:
		return c.end(context.Canceled)
	default:
		return nil
	}
}

// Done implements context.Context. The first use of a call allocates.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.spent.Store(true)
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		} else {
			go c.watch(c.done, c.closing, c.deadline, c.slot, c.slot.id)
		}
	}
	return c.done
}

// watch ends the context when its call, of this id, is to be given up.
func (c *callContext) watch(done, closing <-chan struct{}, deadline int64, slot *workerSlot, id uint64) {
	over := slot.session.conn.Done()
	var expired <-chan time.Time
	if deadline != 0 {
		timer := time.NewTimer(time.Duration(deadline - now()))
		defer timer.Stop()
		expired = timer.C
	}
	for {
		news := slot.session.cancels.next() // first: what is given up after the look closes it
		if slot.given.Load() == callMark(id) {
			c.end(slot.whyGivenUp())
			return
		}
		select {
		case <-news:
			continue
		case <-done:
		case <-expired:
			c.end(context.DeadlineExceeded)
		case <-over:
			c.end(context.Canceled)
		case <-closing:
			c.end(context.Canceled)
		}
		return
	}
}

// end ends the context for good and returns the reason, the first one that was
// given.
func (c *callContext) end(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spent.Store(true)
	if c.err == nil {
		c.err = err
		if c.done != nil {
			close(c.done)
		}
	}
	return c.err
}
