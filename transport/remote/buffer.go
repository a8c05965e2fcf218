package remote

import (
	"context"

	"github.com/rfaas-go/rfaas/transport"
)

// buffer is a piece of registered memory for a request's bytes, with the request's
// send credit. It is in Memory.free, or held by the call that took it and waits for
// its completion.
type buffer struct {
	offset int // in the region, a multiple of eight
	done   chan struct{}
	result transport.Completion // when done has an element
}

// makeBuffers makes the region and divides it up.
func (m *Memory) makeBuffers(domain *transport.ProtectionDomain) (err error) {
	size := m.cfg.BufferBytes
	if m.region, err = domain.Alloc(m.cfg.Buffers*size, transport.LocalOnly); err != nil {
		return err
	}
	// Calls look at it when the program has closed the device.
	if err = m.region.Hold(); err != nil {
		m.region = nil
		return err
	}
	m.buffers = make([]buffer, m.cfg.Buffers)
	for i := range m.buffers {
		b := &m.buffers[i]
		b.offset, b.done = i*size, make(chan struct{}, 1)
		m.free <- b
	}
	return nil
}

// id is the buffer's index, by which its completion is known.
func (m *Memory) id(b *buffer) uint64 { return uint64(b.offset / m.cfg.BufferBytes) }

// span is the part of the buffer that n bytes go through.
func (m *Memory) span(b *buffer, n int) transport.Span { return m.region.Span(b.offset, n) }

// bytes is the memory of span.
func (m *Memory) bytes(b *buffer, n int) []byte { return m.region.Bytes()[b.offset:][:n] }

// take takes a free buffer. If there is none, it waits for one if wait is set,
// and otherwise returns nil.
func (m *Memory) take(ctx context.Context, wait bool) (*buffer, error) {
	select {
	case b := <-m.free:
		return b, nil
	default:
	}
	if !wait {
		return nil, nil
	}
	// Calls hold all of them, and wait for their completions.
	select {
	case b := <-m.free:
		return b, nil
	case <-m.conn.Done():
		return nil, m.conn.Err()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (m *Memory) give(b *buffer) { m.free <- b }

// abandon starts a goroutine that waits for the buffer's request and then frees it.
func (m *Memory) abandon(b *buffer) {
	m.abandoned.Go(func() {
		if m.await(context.Background(), b) == nil {
			m.give(b)
		}
	})
}
