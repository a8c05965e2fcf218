package benchmarks

import (
	"context"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

const (
	bulkDepth    = 64 // default of the bandwidth tests
	maxBulkDepth = 4096
	bulkSize     = 1 << 20
)

func init() {
	add(&test{
		name:  "write-bw",
		about: "bandwidth of one-sided writes",
		modes: allModes, defaultSize: bulkSize, minSize: 1, maxSize: maxSize,
		defaultDepth: bulkDepth, maxDepth: maxBulkDepth, bandwidth: true,
		iterations: bandwidthIterations, baseline: moved,
		measure: newWriteBandwidth, serve: newWriteTarget,
	})
	add(&test{
		name:  "read-bw",
		about: "bandwidth of one-sided reads",
		modes: allModes, defaultSize: bulkSize, minSize: 1, maxSize: maxSize,
		defaultDepth: bulkDepth, maxDepth: maxBulkDepth, bandwidth: true,
		iterations: bandwidthIterations, baseline: moved,
		measure: newReadBandwidth, serve: newReadTarget,
	})
}

// bulk is the measuring side of write-bw and read-bw.
type bulk struct {
	*pipeline
	done  *bell
	slots slots
	phase byte // marks the messages of each run
	reads bool
}

func newWriteBandwidth(ctx context.Context, s *session) (side, error) {
	return newBulk(ctx, s, false)
}

func newReadBandwidth(ctx context.Context, s *session) (side, error) {
	return newBulk(ctx, s, true)
}

func newBulk(ctx context.Context, s *session, reads bool) (side, error) {
	op := transport.OpWrite
	if reads {
		op = transport.OpRead
	}
	size, depth := s.params.SizeBytes, s.params.Depth
	b := &bulk{slots: bulkSlots(size, depth), reads: reads}
	e, err := newEnd(ctx, s, endConfig{
		ops: transport.Ops(op, transport.OpSend),
		own: b.slots.bytes() + bellBytes, inbox: bellBytes,
		sendDepth: depth + 1, recvDepth: bellDepth,
	})
	if err != nil {
		return nil, closing(e, err)
	}
	if int(e.far.Len) < b.slots.bytes() {
		return nil, closing(e, fmt.Errorf("the peer granted %d bytes, not %d", e.far.Len, b.slots.bytes()))
	}
	b.pipeline = newPipeline(e, depth, func(slot int) transport.WorkRequest {
		off := b.slots.offset(slot)
		if reads {
			return transport.Read(0, e.own.Span(off, size), e.far.Slice(off, size))
		}
		return transport.Write(0, e.own.Span(off, size), e.far.Slice(off, size))
	})
	if b.done, err = newBell(e, b.slots.bytes()); err != nil {
		return nil, closing(e, err)
	}
	return b, nil
}

func (b *bulk) run(ctx context.Context, n int, _ *samples) error {
	b.phase++
	mark := b.phase
	if b.reads {
		mark = 0 // the peer's own mark is to replace it
	}
	for slot := range b.slots.count {
		stamp(b.slots.of(b.own.Bytes(), slot), mark)
	}
	for left := n; left > 0; {
		posted, err := b.post(ctx, left)
		if err != nil {
			return err
		}
		left -= posted
		if ctx.Err() != nil { // writes may never have to wait
			return context.Cause(ctx)
		}
	}
	if err := b.done.ring(ctx); err != nil {
		return err
	}
	b.drained()
	if err := b.done.hear(ctx); err != nil { // the peer has seen the last byte
		return err
	}
	if b.reads {
		return b.slots.verify(b.own.Bytes(), n, targetMark)
	}
	return nil
}

// verify looks whether the buffers that n messages went to have the mark.
func (s slots) verify(mem []byte, n int, mark byte) error {
	for slot := range min(n, s.count) {
		if m := s.of(mem, slot); !stamped(m, mark) {
			return fmt.Errorf("buffer %d is damaged: its ends are %#x and %#x instead of %#x", slot, m[0], m[len(m)-1], mark)
		}
	}
	return nil
}

// bulkTarget is the peer of write-bw and read-bw. It waits until the measuring
// side is done, looks at what was written, and confirms.
type bulkTarget struct {
	*end
	done    *bell
	slots   slots
	phase   byte
	written bool
}

func newWriteTarget(ctx context.Context, s *session) (side, error) {
	return newBulkTarget(ctx, s, transport.RemoteWrite)
}

func newReadTarget(ctx context.Context, s *session) (side, error) {
	return newBulkTarget(ctx, s, transport.RemoteRead)
}

func newBulkTarget(ctx context.Context, s *session, access transport.Access) (side, error) {
	b := &bulkTarget{slots: bulkSlots(s.params.SizeBytes, s.params.Depth), written: access == transport.RemoteWrite}
	e, err := newEnd(ctx, s, endConfig{
		ops: transport.Ops(transport.OpSend),
		own: bellBytes, inbox: bellBytes, landing: b.slots.bytes(), access: access,
		sendDepth: 1, recvDepth: bellDepth,
	})
	if err != nil {
		return nil, closing(e, err)
	}
	b.end = e
	if !b.written {
		fill(e.landing.Bytes(), targetMark)
	}
	if b.done, err = newBell(e, 0); err != nil {
		return nil, closing(e, err)
	}
	return b, nil
}

func (b *bulkTarget) run(ctx context.Context, n int, _ *samples) error {
	b.phase++
	if err := b.done.hear(ctx); err != nil {
		return err
	}
	if b.written {
		if err := b.slots.verify(b.landing.Bytes(), n, b.phase); err != nil {
			return err
		}
	}
	return b.done.ring(ctx)
}
