//go:build cgo && linux

package ibv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// notifier waits for events on a descriptor of libibverbs, through the runtime's
// poller. A wait allocates nothing, unless its context is another one than the
// last wait's.
type notifier struct {
	file    *os.File // a duplicate: the library closes its own
	conn    syscall.RawConn
	closing atomic.Bool

	mu          sync.Mutex
	interrupted bool // a wait has to end; the file's deadline has passed
	unbind      func() bool

	// Of the goroutine that waits.
	done    <-chan struct{} // of the context whose end ends the waits; see unbind
	try     func() syscall.Errno
	errno   syscall.Errno // what try has returned
	attempt func(uintptr) bool
}

// newNotifier makes fd non-blocking. It stays the caller's.
func newNotifier(fd int, name string) (*notifier, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: duplicating the descriptor: %w", name, err)
	}
	file := os.NewFile(uintptr(duplicate), name)
	// A file that the poller refuses has no deadlines.
	if err := file.SetReadDeadline(time.Time{}); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s cannot be polled: %w", name, err)
	}
	conn, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	n := &notifier{file: file, conn: conn}
	n.attempt = func(uintptr) bool {
		n.errno = n.try()
		return n.errno != syscall.EAGAIN
	}
	return n, nil
}

// wait calls try until it returns something else than EAGAIN, and sleeps between.
// One goroutine at a time. When ctx is done it returns ctx's error, after close
// has begun os.ErrClosed, and when interrupted nil.
func (n *notifier) wait(ctx context.Context, try func() syscall.Errno) error {
	n.try, n.errno = try, 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if done := ctx.Done(); done != n.done {
			n.bind(ctx, done)
		}
		err := n.conn.Read(n.attempt)
		switch {
		case n.closing.Load():
			return os.ErrClosed
		case err == nil && n.errno != 0:
			return n.errno
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case n.resume():
			return nil
		} // else this context has ended, or it was meant for the wait before
	}
}

// bind has the end of a context end the waits, instead of that of another one.
func (n *notifier) bind(ctx context.Context, done <-chan struct{}) {
	n.release()
	n.renew()
	n.done = done
	if done == nil {
		return
	}
	unbind := context.AfterFunc(ctx, func() { _ = n.file.SetReadDeadline(past) })
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.unbind = unbind; n.closing.Load() { // meanwhile
		unbind()
	}
}

// release unbinds the context.
func (n *notifier) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.unbind != nil {
		n.unbind()
		n.unbind = nil
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// interrupt ends the current wait, or else the next one.
func (n *notifier) interrupt() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.interrupted = true
	_ = n.file.SetReadDeadline(past)
}

// resume takes back an interrupt that no wait has answered, and reports whether
// there was one.
func (n *notifier) resume() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.interrupted
	n.interrupted = false
	_ = n.file.SetReadDeadline(time.Time{})
	return was
}

// renew removes the deadline, unless it is an interrupt's.
func (n *notifier) renew() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.interrupted {
		_ = n.file.SetReadDeadline(time.Time{})
	}
}

// close ends wait, and returns when no wait is in progress.
func (n *notifier) close() {
	if n.closing.CompareAndSwap(false, true) {
		n.release()
		_ = n.file.Close()
	}
}
