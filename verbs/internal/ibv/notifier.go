//go:build cgo && linux

package ibv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// notifier waits for events on a descriptor of libibverbs, through the runtime's
// poller.
type notifier struct {
	file    *os.File // a duplicate: the library closes its own
	conn    syscall.RawConn
	closing atomic.Bool
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
	// What the poller does not take has no deadlines either.
	if err := file.SetReadDeadline(time.Time{}); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s cannot be polled: %w", name, err)
	}
	conn, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &notifier{file: file, conn: conn}, nil
}

// wait calls try until it returns something else than EAGAIN, and sleeps between.
// One goroutine at a time. When it is done it returns ctx's error, after close has
// begun os.ErrClosed.
func (n *notifier) wait(ctx context.Context, try func() syscall.Errno) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() != nil {
		expired := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			_ = n.file.SetReadDeadline(time.Unix(1, 0))
			close(expired)
		})
		defer func() {
			if !stop() { // else the deadline might hit the next wait
				<-expired
				_ = n.file.SetReadDeadline(time.Time{})
			}
		}()
	}
	var errno syscall.Errno
	err := n.conn.Read(func(uintptr) bool {
		errno = try()
		return errno != syscall.EAGAIN
	})
	switch {
	case n.closing.Load():
		return os.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ctx.Err()
	case err != nil:
		return err
	case errno != 0:
		return errno
	}
	return nil
}

// close ends wait, and returns when nobody is inside of it.
func (n *notifier) close() {
	if n.closing.CompareAndSwap(false, true) {
		_ = n.file.Close()
	}
}
