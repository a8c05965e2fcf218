package remote

import (
	"context"
	"runtime"

	"github.com/rfaas-go/rfaas/transport"
)

// post hands a request to the device. Its buffer is the device's until await has returned
// nil for it. There is a send credit for each buffer, but a device may return ErrQueueFull
// all the same (package faulty does). If persist is set, post then tries again while
// others poll. A call with requests of its own outstanding must wait for these first.
func (m *Memory) post(ctx context.Context, wr transport.WorkRequest, persist bool) error {
	for {
		m.posting.Lock()
		_, err := m.conn.Post(wr)
		m.posting.Unlock()
		if err != transport.ErrQueueFull || !persist {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		runtime.Gosched()
	}
}

// await returns nil when the buffer's request is done and its result is set. After
// an error, which says why the wait ended, the request is still outstanding.
func (m *Memory) await(ctx context.Context, b *buffer) error {
	select {
	case <-b.done:
		return nil
	case m.driving <- struct{}{}:
	default: // another call drives
		select {
		case <-b.done:
			return nil
		case m.driving <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := m.drive(ctx, b)
	<-m.driving
	return err
}

// drive polls for all calls until the buffer's request is done. The caller holds m.driving.
func (m *Memory) drive(ctx context.Context, b *buffer) error {
	select {
	case <-b.done: // the last driver polled it
		return nil
	default:
	}
	for mine := false; !mine; {
		n, err := m.queue.Wait(ctx, m.polled[:], m.cfg.Spin)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return err
		}
		for i := range m.polled[:n] {
			c := &m.polled[i]
			of := &m.buffers[c.ID]
			of.result = *c
			if of == b {
				mine = true
			} else {
				of.done <- struct{}{}
			}
		}
	}
	return nil
}
