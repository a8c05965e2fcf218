//go:build cgo && linux

package ibv

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// failed is the error of a verbs call: its name, and its errno.
func failed(errno syscall.Errno, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	switch errno {
	case syscall.EPROTONOSUPPORT: // the shim's, see shim.h
		return fmt.Errorf("%s: %w: the object that this libibverbs returned has a layout that is not known here", what, errno)
	case syscall.EBUSY:
		return fmt.Errorf("%s: %w: close what was made from it first", what, errno)
	}
	return fmt.Errorf("%s: %w", what, errno)
}

// noObject is the error of a call that returned no object. err is what cgo made
// of errno.
func noObject(err error, format string, args ...any) error {
	errno := syscall.EIO
	errors.As(err, &errno)
	return failed(errno, format, args...)
}

// noPinned is noObject for objects whose memory the kernel pins.
func noPinned(err error, format string, args ...any) error {
	made := noObject(err, format, args...)
	if !errors.Is(made, syscall.ENOMEM) {
		return made
	}
	return fmt.Errorf("%w (locked memory is limited to %s: raise `ulimit -l`, or give the process CAP_IPC_LOCK)", made, memlock())
}

// memlock is the process's limit of locked memory, as `ulimit -l` shows it.
func memlock() string {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return err.Error()
	}
	return limitText(limit.Cur)
}

func limitText(bytes uint64) string {
	if bytes == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return fmt.Sprintf("%d KiB", bytes/1024)
}
