// Package atomicfile writes files that appear under their names complete or not
// at all.
//
// A file has no name while it is written (O_TMPFILE), so that nothing remains
// if the process is killed. File systems that cannot do that (NFS, vfat) get a
// file with a temporary name, which remains after a kill -9 in the middle of a
// write; it begins with TempPrefix.
package atomicfile

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// TempPrefix begins the names of temporary files.
const TempPrefix = ".rfaas-"

// Mode is that of the files, before the process's umask is applied.
const Mode = 0o666

// Write makes a file of data under a path, and replaces what has that name. On
// error there is what was there before. It does not sync: after a power failure
// the file may be incomplete.
func Write(path string, data []byte) (err error) {
	f, err := create(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.discard()
		}
	}()
	if _, err := f.Write(data); err != nil {
		return pathError("write", path, err)
	}
	if err := f.commit(path); err != nil {
		return pathError("write", path, err)
	}
	return nil
}

// Probe checks whether files can be made in a directory.
func Probe(dir string) error {
	f, err := create(dir)
	if err != nil {
		return err
	}
	f.discard()
	return nil
}

// file is a file being written. It has a temporary name if temp is not empty.
type file struct {
	*os.File
	temp string
}

// openAnonymous makes a file without a name. It is a variable for tests.
var openAnonymous = func(dir string) (*os.File, error) {
	for {
		fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, Mode)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), "unnamed file in "+dir), nil
		case !errors.Is(err, unix.EINTR):
			return nil, &fs.PathError{Op: "create a file in", Path: dir, Err: err}
		}
	}
}

func create(dir string) (*file, error) {
	f, err := openAnonymous(dir)
	// EISDIR comes from kernels that do not know the flag.
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return createNamed(dir)
	}
	if err != nil {
		return nil, err
	}
	return &file{File: f}, nil
}

func createNamed(dir string) (*file, error) {
	temp := tempName(dir)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, Mode)
	if err != nil {
		return nil, &fs.PathError{Op: "create a file in", Path: dir, Err: cause(err)}
	}
	return &file{f, temp}, nil
}

func tempName(dir string) string {
	var b [8]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return filepath.Join(dir, TempPrefix+hex.EncodeToString(b[:]))
}

// commit gives the file its name and closes it.
func (f *file) commit(path string) error {
	if f.temp != "" {
		if err := f.Close(); err != nil {
			return err
		}
		return os.Rename(f.temp, path)
	}
	err := f.link(path)
	if errors.Is(err, fs.ErrExist) {
		// Linking replaces nothing, renaming does.
		temp := tempName(filepath.Dir(path))
		if err = f.link(temp); err == nil {
			if err = os.Rename(temp, path); err != nil {
				os.Remove(temp)
			}
		}
	}
	return errors.Join(err, f.Close())
}

func (f *file) link(path string) error {
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
}

// discard gives the file up.
func (f *file) discard() {
	f.Close() // an error means that it was closed before
	if f.temp != "" {
		os.Remove(f.temp)
	}
}

// pathError names the path that the caller knows.
func pathError(op, path string, err error) error {
	return &fs.PathError{Op: op, Path: path, Err: cause(err)}
}

// cause is an error without the names of temporary files.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
