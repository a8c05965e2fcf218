// Package filelock takes exclusive locks of files.
package filelock

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrTaken means that the lock is taken.
var ErrTaken = errors.New("the lock is taken")

// patience is how long a killed process may still hold its lock: it is still ending, or a
// child of it has not executed its program yet.
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
// waits 2 s for a process that is ending. If the lock is taken after that, the error is
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
