package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func init() {
	add(&test{
		name:  "baseline-block-lat",
		about: "bare medium: two processes wake each other, blocked in eventfd reads",
		modes: []string{Warm}, modesWhy: "it sleeps; baseline-shm-lat spins",
		defaultSize: wordBytes, minSize: wordBytes, maxSize: wordBytes,
		iterations: latencyIterations, bare: true,
		inherit: newEventfds, measure: newBlock, serve: newBlock,
	})
}

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
	leads    bool // the measuring side
	in, out  int  // eventfds
	one, got []byte
}

func newBlock(_ context.Context, s *session) (side, error) {
	b := &block{leads: s.peer != nil, in: int(s.files[0].Fd()), out: int(s.files[1].Fd()), one: make([]byte, wordBytes), got: make([]byte, wordBytes)}
	if b.leads {
		b.in, b.out = b.out, b.in
	}
	b.one[0] = 1 // whatever the byte order: not 0
	return b, nil
}

func (b *block) run(ctx context.Context, n int, out *samples) error {
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
	if !b.leads {
		return b.echo(ctx, n)
	}
	var took int64
	last := clock()
	for i := range n {
		if err := b.post(b.out); err != nil {
			return err
		}
		if i > 0 {
			out.add(took) // while the wake-up is under way
		}
		if err := b.await(ctx); err != nil {
			return err
		}
		now := clock()
		took, last = now-last, now
	}
	out.add(took)
	return nil
}

func (b *block) echo(ctx context.Context, n int) error {
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

func (b *block) close() error { return nil }
