package benchmarks

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// outcome is what a measured phase took.
type outcome struct {
	ns          int64
	allocations uint64            // of both processes
	counters    map[string]uint64 // increases; nil if the provider has none
}

// conduct is the measuring side's part, from the set-up on: warm-up, then the
// measured phase. It runs on the pinned thread. s.control is nil without a peer.
func (s *session) conduct(ctx context.Context, out *samples) (o outcome, err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	run, err := s.test.measure(ctx, s)
	if err != nil {
		return o, s.explain(ctx, err)
	}
	if s.params.Warmup > 0 {
		if _, err := s.phase(ctx, run, s.params.Warmup, out); err != nil {
			return o, err
		}
	}
	out.reset()
	if o, err = s.phase(ctx, run, s.params.Iterations, out); err != nil {
		return o, err
	}
	if s.control != nil {
		err = s.control.send(message{Kind: messageEnd})
	}
	return o, err
}

// phase runs both sides for n operations.
func (s *session) phase(ctx context.Context, run loop, n int, out *samples) (o outcome, err error) {
	runtime.GC() // none should fall into the loop
	if s.control != nil {
		err = s.control.send(message{Kind: messageRun, Count: n})
		if err == nil {
			_, err = s.control.expect(ctx, messageRunning)
		}
		if err != nil {
			return o, s.explain(ctx, err)
		}
	}
	counters, before := s.counters(), allocations()
	start := clock()
	err = run(ctx, n, out)
	o.ns = clock() - start
	o.allocations = allocations() - before
	o.counters = increases(counters, s.counters())
	if err != nil || s.control == nil {
		return o, s.explain(ctx, err)
	}
	err = s.control.send(message{Kind: messageFinish})
	if err == nil {
		var done message
		done, err = s.control.expect(ctx, messageDone)
		if !s.peer.here { // otherwise they are in our own count
			o.allocations += done.Allocations
		}
	}
	return o, s.explain(ctx, err)
}

// explainTimeout is how long explain waits for the peer's own words.
const explainTimeout = time.Second

// explain finds the reason of an error that may only be the consequence of what
// happened to the peer, or of the context's end.
func (s *session) explain(ctx context.Context, err error) error {
	if err == nil || s.control == nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(explainTimeout):
		return err
	}
}
