package accounting

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// diskFile is a file on a disk, with a lock on it.
type diskFile struct{ *os.File }

// Datasync makes what was written durable.
func (f diskFile) Datasync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// Close gives the lock back and closes the file. Without the first, a process that is
// just being started would still have the lock, until it has closed what it inherits.
func (f diskFile) Close() error { return errors.Join(flock(f.File, unix.LOCK_UN), f.File.Close()) }

// flock changes the lock of an open file, which the kernel gives back when the process
// ends in whatever way.
func flock(file *os.File, how int) error {
	for {
		err := unix.Flock(int(file.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("flock", err)
		}
	}
}
