package accounting

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// createWhole makes a file of data, open for reading and writing. It has no name until
// it is complete, and nothing remains of it if the process is killed before. If it is
// durable that holds for power failures, too, and costs the time of two syncs. A file
// that is there already is fs.ErrExist.
func createWhole(path string, data []byte, durable bool) (*os.File, error) {
	folder := filepath.Dir(path)
	fd, err := openUnnamed(folder)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return nil, fmt.Errorf("create %s: the file system of %s has no files without names (O_TMPFILE): use a local one, such as ext4, xfs, btrfs or tmpfs", path, folder)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	file := os.NewFile(uintptr(fd), path)
	_, err = file.Write(data)
	if err == nil && durable {
		err = file.Sync()
	}
	if err == nil {
		err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
		if err != nil {
			err = &fs.PathError{Op: "create", Path: path, Err: err}
		}
	}
	if err == nil && durable {
		err = syncFolder(folder)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
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

func openUnnamed(folder string) (fd int, err error) {
	for {
		fd, err = unix.Open(folder, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
