package remote

import (
	"context"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// Read fills buf from the beginning of a remote span, which is at least as long. After
// an error buf may have been filled in part.
//
// Errors name the operation and wrap what ended it: transport.ErrOutOfRange, the
// context's, a *transport.StatusError, or why the connection ended (Conn.Err).
func (m *Memory) Read(ctx context.Context, buf []byte, from transport.RemoteSpan) error {
	return m.transfer(ctx, transport.OpRead, buf, from)
}

// Write copies buf to the beginning of a remote span, which is at least as long. When
// it returns nil the peer has the bytes; docs/MEMORY.md says when its program sees
// them. Errors are those of Read.
func (m *Memory) Write(ctx context.Context, to transport.RemoteSpan, buf []byte) error {
	return m.transfer(ctx, transport.OpWrite, buf, to)
}

func (m *Memory) transfer(ctx context.Context, op transport.Op, buf []byte, span transport.RemoteSpan) error {
	if uint64(len(buf)) > uint64(span.Len) {
		return m.failure(op, len(buf), span, fmt.Errorf("%w: the remote span has %d bytes", transport.ErrOutOfRange, span.Len))
	}
	if err := m.begin(ctx); err != nil {
		return m.failure(op, len(buf), span, err)
	}
	defer m.calls.RUnlock()
	if err := m.move(ctx, op, buf, span); err != nil {
		return m.failure(op, len(buf), span, err)
	}
	return nil
}

// begin keeps the Memory from closing until m.calls is unlocked.
func (m *Memory) begin(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !m.calls.TryRLock() { // Close has begun
		return m.conn.Err()
	}
	if err := m.conn.Err(); err != nil {
		m.calls.RUnlock()
		return err
	}
	return nil
}

// move transfers buf in pieces, a few at once.
func (m *Memory) move(ctx context.Context, op transport.Op, buf []byte, span transport.RemoteSpan) error {
	var flying [pipeline]piece // a ring
	first, last := 0, 0        // pieces that were done, and that were posted
	for rest := span.Slice(0, len(buf)); rest.Len > 0 || first < last; {
		for rest.Len > 0 && last-first < pipeline {
			n := min(int(rest.Len), m.cfg.BufferBytes)
			p := piece{bytes: buf[len(buf)-int(rest.Len):][:n], there: rest.Slice(0, n)}
			posted, err := m.launch(ctx, op, &p, first == last)
			if err != nil {
				m.abandonAll(flying[:], first, last)
				return err
			}
			if !posted {
				break
			}
			flying[last%pipeline] = p
			rest = rest.Slice(n, int(rest.Len)-n)
			last++
		}
		if err := m.land(ctx, op, &flying[first%pipeline]); err != nil {
			m.abandonAll(flying[:], first+1, last)
			return err
		}
		first++
	}
	return nil
}

// pipeline is how many pieces of one call are outstanding at most.
const pipeline = 4

// piece is a part of a transfer.
type piece struct {
	bytes  []byte // the caller's
	there  transport.RemoteSpan
	buffer *buffer
}

// launch posts a piece. If alone is set, the call has no other piece outstanding,
// and waits for a buffer. Otherwise, without a free buffer, nothing is posted.
func (m *Memory) launch(ctx context.Context, op transport.Op, p *piece, alone bool) (posted bool, err error) {
	b, err := m.take(ctx, alone)
	if b == nil {
		return false, err
	}
	if op == transport.OpWrite {
		copy(m.bytes(b, len(p.bytes)), p.bytes)
	}
	p.buffer = b
	err = m.post(ctx, transport.WorkRequest{ID: m.id(b), Op: op, Local: m.span(b, len(p.bytes)), Remote: p.there, Flags: transport.Signaled}, alone)
	if err != nil {
		m.give(b)
		if err == transport.ErrQueueFull {
			return false, nil
		}
		return false, m.reason(err)
	}
	return true, nil
}

// land waits for a piece, and frees or abandons its buffer.
func (m *Memory) land(ctx context.Context, op transport.Op, p *piece) error {
	b := p.buffer
	if err := m.await(ctx, b); err != nil {
		m.abandon(b)
		return m.reason(err)
	}
	defer m.give(b)
	if b.result.Status != transport.StatusOK {
		return m.refused(ctx, &b.result)
	}
	if op == transport.OpRead {
		copy(p.bytes, m.bytes(b, len(p.bytes)))
	}
	return nil
}

// abandonAll abandons the outstanding pieces.
func (m *Memory) abandonAll(flying []piece, first, last int) {
	for i := first; i < last; i++ {
		m.abandon(flying[i%pipeline].buffer)
	}
}
