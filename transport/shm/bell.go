package shm

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A bell wakes a sleeper: an eventfd that the sleeper reads through the runtime's
// poller and whose descriptor the peers get. Whether there is a sleeper is a
// word in the sleeper's half: each time it goes to sleep it raises it to a value
// not used before, and who finds a value that he has not answered yet rings. So
// a peer rings once for each sleep, and never needs to write where the sleeper
// does.
type bell struct {
	file *os.File
	fd   int

	rings [8]byte // read from file, and of no interest

	// The context that the last wait was bound to; the sleeper's own. Binding
	// allocates, and a program mostly waits under one context again and again.
	done <-chan struct{}

	mu     sync.Mutex
	unbind func() bool // nil: bound to none
	closed bool
}

func newBell() (*bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, explain(err)
	}
	return &bell{file: os.NewFile(uintptr(fd), "rfaas-bell"), fd: fd}, nil
}

// one is what ringing adds to the counter: so little that it never gets full,
// which would make ring block.
var one = binary.NativeEndian.AppendUint64(nil, 1)

// ring wakes this process's own sleeper.
func (b *bell) ring() { b.file.Write(one) } // fails when closed, or full of rings: in order both times

// ringPeer wakes the sleeper that a received descriptor belongs to.
func ringPeer(fd int) { unix.Write(fd, one) } // EAGAIN: full of rings

// wait sleeps until somebody rings or the context ends; it may return early.
func (b *bell) wait(ctx context.Context) error {
	if done := ctx.Done(); done != b.done {
		if err := b.bind(ctx, done); err != nil {
			return err
		}
	}
	_, err := b.file.Read(b.rings[:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.release()
		b.done = nil
		if err := b.file.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		return context.Cause(ctx) // nil if an earlier context was meant
	}
	return err
}

// bind makes the end of a context end the waits.
func (b *bell) bind(ctx context.Context, done <-chan struct{}) error {
	b.release()
	if err := b.file.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	b.done = done
	unbind := context.AfterFunc(ctx, func() { b.file.SetReadDeadline(time.Unix(1, 0)) })
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unbind = unbind; b.closed {
		unbind()
	}
	return nil
}

// release lets go of the context: it may live on for long.
func (b *bell) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unbind != nil {
		b.unbind()
		b.unbind = nil
	}
}

func (b *bell) close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.release()
	return b.file.Close()
}

// raise announces a sleep in a bell word, unless the last one has not been
// answered yet.
func raise(word *atomic.Uint32, answered uint32) {
	v := word.Load()
	if v != 0 && v != answered {
		return
	}
	if v++; v == 0 {
		v = 1 // 0 is "never slept"
	}
	word.Store(v)
}
