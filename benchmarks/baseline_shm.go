package benchmarks

import (
	"context"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// oneSharedMemory is what the two sides of baseline-shm-lat write to.
func oneSharedMemory(p params) ([]*os.File, error) {
	f, err := sharedMemory(p.SizeBytes)
	return []*os.File{f}, err
}

// bounce is either side of baseline-shm-lat. Both write the same bytes in turn:
// a payload and, last, a word with the number of the message. The size counts
// the word, so that messages of up to 64 bytes are one cache line.
type bounce struct {
	shared  []byte         // the part of the memory with the payload
	word    *atomic.Uint64 // behind it
	payload []byte
	round   uint64
	pace    pace
}

func newBounce(_ context.Context, s *session) (loop, error) {
	size := s.params.SizeBytes
	mem, err := mapShared(s.files[0], size)
	if err != nil {
		return nil, err
	}
	s.cleanup(func() error { return unix.Munmap(mem) })
	n := size - wordBytes
	b := &bounce{shared: mem[:n], word: wordAt(mem, n), payload: make([]byte, n), pace: newPace(size)}
	if s.leads() {
		return b.lead, nil
	}
	return b.echo, nil
}

func (b *bounce) lead(ctx context.Context, n int, out *samples) error {
	watch := startStopwatch(out)
	for i := range n {
		b.put(b.round + 1)
		watch.record()
		if err := b.pace.ended(ctx, i); err != nil {
			return err
		}
		if err := b.await(ctx, b.round+2); err != nil {
			return err
		}
		b.round += 2
		watch.lap()
	}
	watch.record()
	return nil
}

func (b *bounce) echo(ctx context.Context, n int, _ *samples) error {
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
