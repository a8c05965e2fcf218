package remote

import (
	"context"
	"runtime"

	"github.com/rfaas-go/rfaas/transport"
)

// post hands a request to the device. Its buffer is the device's until await has
// returned nil for it. There is a place in the queue for each buffer, but a device
// may say ErrQueueFull all the same (package faulty does): post then tries again, if told to, as
// others poll; who has requests of its own under way has to see to these first.
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

// await returns when the buffer's request is done, and its result is set. If not, it
// is still under way, and the error says why nobody waits any longer.
func (m *Memory) await(ctx context.Context, b *buffer) error {
	select {
	case <-b.done:
		return nil
	case m.driving <- struct{}{}:
	default: // somebody else drives
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

// drive polls for all until the buffer's request is done. By whoever has m.driving.
func (m *Memory) drive(ctx context.Context, b *buffer) error {
	select {
	case <-b.done: // the one before us saw it
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
