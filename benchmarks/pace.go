package benchmarks

import (
	"context"
	"math/bits"
)

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
