package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"os"

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
