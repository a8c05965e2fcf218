// Package filelock takes locks of files that one process at a time may have.
package filelock

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrTaken means that somebody else has the lock.
var ErrTaken = errors.New("somebody else has the lock")

// patience is how long the lock of one who was killed may be held yet: by it, which is
// still ending, or by a child of it that has not executed its program yet.
const patience = 2 * time.Second

// Release gives a lock back that its file may keep otherwise: a process that is just being
// started has the descriptor, too, until it executes its program.
func Release(file *os.File) error {
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_UN)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("flock", err)
		}
	}
}

// Take takes the lock of a file, which lasts until all of its descriptors are closed. It
// waits a little for somebody who is just ending. The error of a lock that is taken is
// ErrTaken.
func Take(file *os.File) error {
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EWOULDBLOCK):
			return os.NewSyscallError("flock", err)
		case time.Since(begun) > patience:
			return ErrTaken
		}
	}
}
