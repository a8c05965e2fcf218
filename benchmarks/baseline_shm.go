package benchmarks

import (
	"context"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

func init() {
	add(&test{
		name:  "baseline-shm-lat",
		about: "bare medium: two processes bounce one cache line",
		modes: []string{Hot}, modesWhy: "it spins on memory; baseline-block-lat sleeps",
		defaultSize: wordBytes, minSize: wordBytes, maxSize: maxSize, sizeStep: wordBytes,
		iterations: latencyIterations, bare: true,
		inherit: func(p params) ([]*os.File, error) {
			f, err := sharedMemory(p.SizeBytes)
			return []*os.File{f}, err
		},
		measure: newBounce, serve: newBounce,
	})
}

const wordBytes = 8

// bounce is either side of baseline-shm-lat. Both write the same bytes in turn:
// a payload and, last, a word with the number of the message. The size counts
// the word, so that messages of up to 64 bytes are one cache line.
type bounce struct {
	leads   bool // the measuring side
	mem     []byte
	shared  []byte         // the part of mem with the payload
	word    *atomic.Uint64 // behind it
	payload []byte
	round   uint64
	pace    pace
}

func newBounce(_ context.Context, s *session) (side, error) {
	size := s.params.SizeBytes
	mem, err := mapShared(s.files[0], size)
	if err != nil {
		return nil, err
	}
	n := size - wordBytes
	return &bounce{leads: s.peer != nil, mem: mem, shared: mem[:n], word: wordAt(mem, n), payload: make([]byte, n), pace: newPace(size)}, nil
}

func (b *bounce) run(ctx context.Context, n int, out *samples) error {
	if !b.leads {
		return b.echo(ctx, n)
	}
	var took int64
	last := clock()
	for i := range n {
		b.put(b.round + 1)
		if i > 0 {
			out.add(took) // while the message is under way
		}
		if err := b.pace.ended(ctx, i); err != nil {
			return err
		}
		if err := b.await(ctx, b.round+2); err != nil {
			return err
		}
		b.round += 2
		now := clock()
		took, last = now-last, now
	}
	out.add(took)
	return nil
}

func (b *bounce) echo(ctx context.Context, n int) error {
	for range n {
		if err := b.await(ctx, b.round+1); err != nil {
			return err
		}
		b.put(b.round + 2)
		b.round += 2
	}
	return nil
}

func (b *bounce) put(number uint64) {
	if len(b.payload) > 0 {
		copy(b.shared, b.payload)
	}
	b.word.Store(number)
}

func (b *bounce) await(ctx context.Context, number uint64) error {
	for looks := 1; b.word.Load() != number; looks++ {
		if looks%looksPerCheck == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if len(b.payload) > 0 {
		copy(b.payload, b.shared)
	}
	return nil
}

func (b *bounce) close() error { return unix.Munmap(b.mem) }
