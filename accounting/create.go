package accounting

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// createWhole makes a file of data, open for reading and writing. It has no name until
// it is complete, and nothing remains of it if the process is killed before. If it is
// durable that holds for power failures, too, and costs the time of two syncs. A file
// that is there already is fs.ErrExist.
//
// File systems without files that have no name (NFS, some overlays) get one with a
// temporary name, which begins with TempPrefix and remains if the process is killed.
func createWhole(path string, data []byte, durable bool) (*os.File, error) {
	file, temp, err := openNew(path)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	_, err = file.Write(data)
	if err == nil && durable {
		err = file.Sync()
	}
	if err == nil {
		from := temp
		if from == "" {
			from = fmt.Sprintf("/proc/self/fd/%d", file.Fd())
		}
		if err = unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW); err != nil {
			err = &fs.PathError{Op: "create", Path: path, Err: err}
		}
	}
	if temp != "" {
		err = errors.Join(err, os.Remove(temp))
	}
	if err == nil && durable {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// TempPrefix begins the names of files that are not complete yet, where they have to have
// one.
const TempPrefix = ".new-"

// openNew opens a file that has no name yet, or a temporary one.
func openNew(path string) (file *os.File, temp string, err error) {
	fd, err := openUnnamed(filepath.Dir(path))
	if err == nil {
		return os.NewFile(uintptr(fd), path), "", nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) { // EISDIR comes from kernels that do not know the flag
		return nil, "", err
	}
	temp = filepath.Join(filepath.Dir(path), fmt.Sprintf("%s%016x", TempPrefix, rand.Uint64()))
	file, err = os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return file, temp, err
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// openUnnamed is a variable for tests.
var openUnnamed = func(folder string) (fd int, err error) {
	for {
		fd, err = unix.Open(folder, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
