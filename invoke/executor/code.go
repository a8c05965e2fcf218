package executor

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// SealedCode copies code into a sealed memory file, for Order.Code: executors load exactly
// what was verified, need no access to folders, and share its pages. The file is the
// caller's to close.
func SealedCode(name string, r io.Reader) (*os.File, error) {
	f, err := memoryFile(name)
	if err != nil {
		return nil, err
	}
	if _, err = io.Copy(f, r); err == nil {
		err = seal(f)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("executor: copying code into memory: %w", err)
	}
	return f, nil
}

// memoryFile makes a memory file that can be sealed.
func memoryFile(name string) (*os.File, error) {
	// Executable: native code is mapped from it.
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if err == unix.EINVAL { // a kernel before 6.3 has no MFD_EXEC: all are executable
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("executor: memory for code: memfd_create: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// seal makes a memory file immutable, and seeks to its beginning.
func seal(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	return err
}
