package benchmarks

import (
	"context"

	"golang.org/x/sys/unix"
)

// copying is baseline-memcpy-bw. It goes round the same buffers as write-bw of
// the same size and depth.
type copying struct {
	slots    slots
	pace     pace
	from, to []byte
}

func newCopying(_ context.Context, s *session) (loop, error) {
	c := &copying{slots: bulkSlots(s.params.SizeBytes, s.params.Depth), pace: newPace(s.params.SizeBytes)}
	for _, area := range []*[]byte{&c.from, &c.to} {
		f, err := sharedMemory(c.slots.bytes())
		if err != nil {
			return nil, err
		}
		*area, err = mapShared(f, c.slots.bytes())
		f.Close()
		if err != nil {
			return nil, err
		}
		s.cleanup(func() error { return unix.Munmap(*area) })
	}
	fill(c.from, targetMark)
	fill(c.to, 0)
	return c.run, nil
}

// copyBlock is the most that is copied by one call. From 1 MiB on, Go's copy
// goes around the caches, which takes twice the time when what is copied would
// have fit into them.
const copyBlock = 256 << 10

func (c *copying) run(ctx context.Context, n int, _ *samples) error {
	froms, tos := c.slots.all(c.from, c.slots.count), c.slots.all(c.to, c.slots.count)
	slot := 0
	for i := range n {
		from, to := froms[slot], tos[slot]
		if slot++; slot == len(froms) {
			slot = 0
		}
		for len(from) > copyBlock {
			copy(to, from[:copyBlock])
			from, to = from[copyBlock:], to[copyBlock:]
		}
		copy(to, from)
		if err := c.pace.ended(ctx, i); err != nil {
			return err
		}
	}
	return c.slots.verify(c.to, n, targetMark)
}
