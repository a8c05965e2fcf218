package remote

import (
	"context"
	"encoding/binary"

	"github.com/rfaas-go/rfaas/transport"
)

// CompareSwap stores new in the 64-bit word at the beginning of a remote span if it is
// old, and returns what it was: old if it was stored. The word is aligned to eight, in the
// native order of bytes. docs/MEMORY.md lists against which accesses it is atomic. Errors
// are those of Read, transport.ErrInvalid for a word that is not aligned, and
// transport.ErrNotSupported where the device has no atomics.
func (m *Memory) CompareSwap(ctx context.Context, at transport.RemoteSpan, old, new uint64) (was uint64, err error) {
	return m.atomic(ctx, transport.CompareSwap(0, transport.Span{}, at, old, new))
}

// FetchAdd adds delta to the 64-bit word at the beginning of a remote span, and
// returns what it was before. Otherwise it is like CompareSwap.
func (m *Memory) FetchAdd(ctx context.Context, at transport.RemoteSpan, delta uint64) (was uint64, err error) {
	return m.atomic(ctx, transport.FetchAdd(0, transport.Span{}, at, delta))
}

func (m *Memory) atomic(ctx context.Context, wr transport.WorkRequest) (was uint64, err error) {
	if err := m.begin(ctx); err != nil {
		return 0, m.failure(wr.Op, wordBytes, wr.Remote, err)
	}
	defer m.calls.RUnlock()
	if was, err = m.exchange(ctx, wr); err != nil {
		return 0, m.failure(wr.Op, wordBytes, wr.Remote, err)
	}
	return was, nil
}

func (m *Memory) exchange(ctx context.Context, wr transport.WorkRequest) (was uint64, err error) {
	b, err := m.take(ctx, true)
	if err != nil {
		return 0, err
	}
	wr.ID, wr.Flags, wr.Local = m.id(b), transport.Signaled, m.span(b, wordBytes)
	if err := m.post(ctx, wr, true); err != nil {
		m.give(b)
		return 0, m.reason(err)
	}
	if err := m.await(ctx, b); err != nil {
		m.abandon(b)
		return 0, m.reason(err)
	}
	defer m.give(b)
	if b.result.Status != transport.StatusOK {
		return 0, m.refused(ctx, &b.result)
	}
	return binary.NativeEndian.Uint64(m.bytes(b, wordBytes)), nil
}
