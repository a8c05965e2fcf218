package accounting

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/filelock"
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

// Close gives the lock back and closes the file.
func (f diskFile) Close() error { return errors.Join(filelock.Release(f.File), f.File.Close()) }
