package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// newEventfds makes the two that wake the peer and the measuring side.
func newEventfds(params) (files []*os.File, err error) {
	for range 2 {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			closeFiles(files)
			return nil, fmt.Errorf("eventfd: %w", err)
		}
		files = append(files, os.NewFile(uintptr(fd), "eventfd"))
	}
	return files, nil
}

// block is either side of baseline-block-lat: system calls and nothing else.
type block struct {
	in, out  int // eventfds
	one, got []byte
}

func newBlock(_ context.Context, s *session) (loop, error) {
	b := &block{in: int(s.files[0].Fd()), out: int(s.files[1].Fd()), one: make([]byte, wordBytes), got: make([]byte, wordBytes)}
	b.one[0] = 1 // whatever the byte order: not 0
	run := b.echo
	if s.leads() {
		b.in, b.out = b.out, b.in
		run = b.lead
	}
	return func(ctx context.Context, n int, out *samples) error {
		// Nobody else would wake this side when the peer is gone.
		woken := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			b.post(b.in)
			close(woken)
		})
		defer func() {
			if !stop() {
				<-woken // the descriptor may be closed after this
			}
		}()
		return run(ctx, n, out)
	}, nil
}

func (b *block) lead(ctx context.Context, n int, out *samples) error {
	watch := startStopwatch(out)
	for range n {
		if err := b.post(b.out); err != nil {
			return err
		}
		watch.record()
		if err := b.await(ctx); err != nil {
			return err
		}
		watch.lap()
	}
	watch.record()
	return nil
}

func (b *block) echo(ctx context.Context, n int, _ *samples) error {
	for range n {
		if err := b.await(ctx); err != nil {
			return err
		}
		if err := b.post(b.out); err != nil {
			return err
		}
	}
	return nil
}

func (b *block) post(fd int) error {
	_, err := unix.Write(fd, b.one)
	return err
}

// await sleeps until the other side posts.
func (b *block) await(ctx context.Context) error {
	for {
		_, err := unix.Read(b.in, b.got)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil || !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

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
