package benchmarks

import (
	"context"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

func init() {
	add(&test{
		name:  "read-lat",
		about: "time of a one-sided read, until it completed",
		modes: allModes, defaultSize: 64, minSize: 1, maxSize: maxSize,
		iterations: latencyIterations, baseline: fetched,
		measure: newReadLatency, serve: newFetchTarget,
	})
	add(&test{
		name:  "atomic-lat",
		about: "time of a remote fetch-add, until it completed",
		modes: allModes, defaultSize: 8, minSize: 8, maxSize: 8,
		iterations: latencyIterations, baseline: fetched,
		measure: newAtomicLatency, serve: newFetchTarget,
	})
}

// fetchLatency is the measuring side of read-lat and atomic-lat.
type fetchLatency struct {
	*end
	out   *sender
	done  *bell
	pace  pace
	fetch fetch
}

// fetch is what read-lat and atomic-lat do differently.
type fetch interface {
	// prepare readies the memory for an answer.
	prepare()
	// verify looks whether the answer of operation number n, from 1, is right.
	verify(n uint64) error
}

func newReadLatency(ctx context.Context, s *session) (side, error) {
	f, err := newFetchEnd(ctx, s, transport.OpRead)
	if err != nil {
		return nil, err
	}
	size := s.params.SizeBytes
	f.fetch = reading(f.own.Bytes()[:size])
	f.out = newSender(f.end, 1, func(int) transport.WorkRequest {
		return transport.Read(0, f.own.Span(0, size), f.far)
	})
	return f, nil
}

func newAtomicLatency(ctx context.Context, s *session) (side, error) {
	f, err := newFetchEnd(ctx, s, transport.OpFetchAdd)
	if err != nil {
		return nil, err
	}
	f.fetch = counting{f.own}
	f.out = newSender(f.end, 1, func(int) transport.WorkRequest {
		return transport.FetchAdd(0, f.own.Span(0, 8), f.far, 1)
	})
	return f, nil
}

func newFetchEnd(ctx context.Context, s *session, op transport.Op) (*fetchLatency, error) {
	size := s.params.SizeBytes
	answer := newSlots(size, 1).bytes()
	e, err := newEnd(ctx, s, endConfig{
		ops: transport.Ops(op, transport.OpSend),
		own: answer + bellBytes, inbox: bellBytes,
		sendDepth: 2, recvDepth: bellDepth,
	})
	if err != nil {
		return nil, closing(e, err)
	}
	if int(e.far.Len) < size {
		return nil, closing(e, fmt.Errorf("the peer granted %d bytes", e.far.Len))
	}
	f := &fetchLatency{end: e, pace: newPace(size)}
	if f.done, err = newBell(e, answer); err != nil {
		return nil, closing(e, err)
	}
	return f, nil
}

func (f *fetchLatency) run(ctx context.Context, n int, out *samples) error {
	var took int64
	last := clock()
	for i := range n {
		slot, err := f.out.slot(ctx)
		if err != nil {
			return err
		}
		f.fetch.prepare()
		if err := f.out.post(slot); err != nil {
			return err
		}
		if i > 0 {
			out.add(took) // while the answer is under way
		}
		if err := f.pace.ended(ctx, i); err != nil {
			return err
		}
		for f.out.done < f.out.posted {
			if err := f.out.wait(ctx); err != nil {
				return err
			}
		}
		if err := f.fetch.verify(f.out.posted); err != nil {
			return err
		}
		now := clock()
		took, last = now-last, now
	}
	out.add(took)
	return f.done.ring(ctx)
}

// targetMark fills what is read.
const targetMark = 0xa5

// reading is where a read puts its bytes.
type reading []byte

func (r reading) prepare() { stamp(r, 0) }

func (r reading) verify(n uint64) error {
	if stamped(r, targetMark) {
		return nil
	}
	return fmt.Errorf("read %d brought %#x and %#x at its ends instead of %#x", n, r[0], r[len(r)-1], targetMark)
}

// counting is where a fetch-add puts the former value.
type counting struct{ result *transport.Region }

func (c counting) prepare() {}

func (c counting) verify(n uint64) error {
	if was := c.result.Uint64(0).Load(); was != n-1 {
		return fmt.Errorf("fetch-add %d found %d instead of %d", n, was, n-1)
	}
	return nil
}

// fetchTarget is the peer of read-lat and atomic-lat. It does nothing but wait,
// in the mode of the test, until the measuring side is done.
type fetchTarget struct {
	*end
	done *bell
}

func newFetchTarget(ctx context.Context, s *session) (side, error) {
	c := endConfig{
		ops: transport.Ops(transport.OpSend),
		own: bellBytes, inbox: bellBytes, landing: newSlots(s.params.SizeBytes, 1).bytes(),
		access: transport.RemoteRead, sendDepth: 2, recvDepth: bellDepth,
	}
	if s.params.Test == "atomic-lat" {
		c.access = transport.RemoteAtomic
	}
	e, err := newEnd(ctx, s, c)
	if err != nil {
		return nil, closing(e, err)
	}
	if c.access == transport.RemoteRead {
		fill(e.landing.Bytes(), targetMark)
	}
	done, err := newBell(e, 0)
	if err != nil {
		return nil, closing(e, err)
	}
	return &fetchTarget{e, done}, nil
}

func (f *fetchTarget) run(ctx context.Context, _ int, _ *samples) error { return f.done.hear(ctx) }

func fill(mem []byte, mark byte) {
	mem[0] = mark
	for n := 1; n < len(mem); n *= 2 {
		copy(mem[n:], mem[:n])
	}
}
