package benchmarks

import (
	"context"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// oneSided is the side of fetches and streams that reads and writes at the peer, whose
// program does nothing meanwhile.
type oneSided struct {
	*end
	op    transport.Op
	slots slots
	done  *bell
}

func newOneSided(ctx context.Context, s *session) (*oneSided, error) {
	depth := s.params.Depth
	o := &oneSided{op: s.test.op, slots: bulkSlots(s.params.SizeBytes, depth)}
	var err error
	o.end, err = newEnd(ctx, s, endConfig{
		ops: transport.Ops(o.op, transport.OpSend),
		own: o.slots.bytes() + bellBytes, inbox: bellBytes, far: o.slots.bytes(),
		sendDepth: depth + 1, recvDepth: bellDepth,
	})
	if err == nil {
		o.done, err = newBell(o.end, o.slots.bytes())
	}
	return o, err
}

func (o *oneSided) request(slot int) transport.WorkRequest {
	off, size := o.slots.offset(slot), o.slots.size
	return request(o.op, o.own.Span(off, size), o.far.Slice(off, size))
}

// finish tells the peer that all is done, and waits until it has seen the last byte.
func (o *oneSided) finish(ctx context.Context) error {
	if err := o.done.ring(ctx); err != nil {
		return err
	}
	return o.done.hear(ctx)
}

// fetchSide is the measuring side of read-lat and atomic-lat: one operation at a time.
type fetchSide struct {
	*oneSided
	out    *sender
	answer []byte // where it arrives
	pace   pace
}

func newFetch(ctx context.Context, s *session) (loop, error) {
	o, err := newOneSided(ctx, s)
	if err != nil {
		return nil, err
	}
	return (&fetchSide{o, newSender(o.end, 1, o.request), o.slots.of(o.own.Bytes(), 0), newPace(o.slots.size)}).run, nil
}

func (f *fetchSide) run(ctx context.Context, n int, out *samples) error {
	watch := startStopwatch(out)
	for i := range n {
		slot, err := f.out.slot(ctx)
		if err != nil {
			return err
		}
		if f.op == transport.OpRead {
			stamp(f.answer, 0)
		}
		if err := f.out.post(slot); err != nil {
			return err
		}
		watch.record()
		if err := f.pace.ended(ctx, i); err != nil {
			return err
		}
		for f.out.done < f.out.posted {
			if err := f.out.wait(ctx); err != nil {
				return err
			}
		}
		if err := f.verify(f.out.posted); err != nil {
			return err
		}
		watch.lap()
	}
	watch.record()
	return f.finish(ctx)
}

// verify looks whether the answer of operation number n, from 1, is right: what is
// there, or how many there were before.
func (f *fetchSide) verify(n uint64) error {
	if f.op == transport.OpFetchAdd {
		if was := f.own.Uint64(0).Load(); was != n-1 {
			return fmt.Errorf("fetch-add %d found %d instead of %d", n, was, n-1)
		}
	} else if r := f.answer; !stamped(r, targetMark) {
		return fmt.Errorf("read %d brought %#x and %#x at its ends instead of %#x", n, r[0], r[len(r)-1], targetMark)
	}
	return nil
}

// streamSide is the measuring side of write-bw and read-bw.
type streamSide struct {
	*oneSided
	out   *pipeline
	phase byte // marks what each run writes
}

func newStream(ctx context.Context, s *session) (loop, error) {
	o, err := newOneSided(ctx, s)
	if err != nil {
		return nil, err
	}
	return (&streamSide{oneSided: o, out: newPipeline(o.end, s.params.Depth, o.request)}).run, nil
}

func (b *streamSide) run(ctx context.Context, n int, _ *samples) error {
	b.phase++
	mark, reads := b.phase, b.op == transport.OpRead
	if reads {
		mark = 0 // the peer's own mark is to replace it
	}
	for slot := range b.slots.count {
		stamp(b.slots.of(b.own.Bytes(), slot), mark)
	}
	for left := n; left > 0; {
		posted, err := b.out.post(ctx, left)
		if err != nil {
			return err
		}
		left -= posted
		if ctx.Err() != nil { // writes may never have to wait
			return context.Cause(ctx)
		}
	}
	if err := b.finish(ctx); err != nil {
		return err
	}
	b.out.drained()
	if reads {
		return b.slots.verify(b.own.Bytes(), n, targetMark)
	}
	return nil
}

// target is the peer of fetches and streams. It waits, in the mode of the test, until
// the measuring side is done, looks at what was written, and confirms.
type target struct {
	*end
	done  *bell
	slots slots
	phase byte
	op    transport.Op
}

func newTarget(ctx context.Context, s *session) (loop, error) {
	t := &target{slots: bulkSlots(s.params.SizeBytes, s.params.Depth), op: s.test.op}
	access := map[transport.Op]transport.Access{
		transport.OpWrite: transport.RemoteWrite, transport.OpRead: transport.RemoteRead, transport.OpFetchAdd: transport.RemoteAtomic,
	}
	var err error
	t.end, err = newEnd(ctx, s, endConfig{
		ops: transport.Ops(transport.OpSend),
		own: bellBytes, inbox: bellBytes, landing: t.slots.bytes(), access: access[t.op],
		sendDepth: bellDepth, recvDepth: bellDepth,
	})
	if err != nil {
		return nil, err
	}
	if t.op == transport.OpRead {
		fill(t.landing.Bytes(), targetMark)
	}
	t.done, err = newBell(t.end, 0)
	return t.run, err
}

func (t *target) run(ctx context.Context, n int, _ *samples) error {
	t.phase++
	if err := t.done.hear(ctx); err != nil {
		return err
	}
	if t.op == transport.OpWrite {
		if err := t.slots.verify(t.landing.Bytes(), n, t.phase); err != nil {
			return err
		}
	}
	return t.done.ring(ctx)
}
