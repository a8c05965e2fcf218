package benchmarks

import (
	"context"
	"math/bits"
	"time"
)

// epoch is where clock counts from.
var epoch = time.Now()

// clock reads the monotonic clock, in nanoseconds. It is one reading of the
// vDSO; time.Now would be two.
func clock() int64 { return int64(time.Since(epoch)) }

// stopwatch times round trips: the end of one is the beginning of the next one.
type stopwatch struct {
	out  *samples
	last int64 // clock at the end of the last one
	took int64 // by it; -1 before there is one
}

func startStopwatch(out *samples) stopwatch { return stopwatch{out, clock(), -1} }

// lap ends a round trip.
func (w *stopwatch) lap() {
	now := clock()
	w.took, w.last = now-w.last, now
}

// record adds the last round trip to the samples. It is for the time in which the
// next one is under way.
func (w *stopwatch) record() {
	if w.took >= 0 {
		w.out.add(w.took)
	}
}

// pace is how often a loop looks at its context. Operations that never have to
// wait would see it nowhere else.
type pace struct{ mask int }

// What a loop moves, and how often it goes round at most, between two looks:
// a small part of a second.
const (
	bytesPerLook = 64 << 20
	maxPerLook   = 1024
)

func newPace(size int) pace {
	n := clamp(bytesPerLook/max(size, 1), 1, maxPerLook)
	return pace{1<<(bits.Len(uint(n))-1) - 1}
}

// ended is why the context ended, or nil; on step number i of a loop.
func (p pace) ended(ctx context.Context, i int) error {
	if i&p.mask == 0 && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
