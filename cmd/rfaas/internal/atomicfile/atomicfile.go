// Package atomicfile writes files that appear under their names complete or not
// at all.
//
// A file has no name while it is written (O_TMPFILE), so that nothing remains
// if the process is killed. File systems that cannot do that (NFS, vfat) get a
// file with a temporary name, which remains after a kill -9 in the middle of a
// write; it begins with TempPrefix.
//
// Devices and pipes, such as /dev/null and /dev/stdout, are not replaced, but written to.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"
)

// TempPrefix begins the names of temporary files.
const TempPrefix = ".rfaas-"

// Mode is that of the files, before the process's umask is applied.
const Mode = 0o666

// Write makes a file of data under a path, and replaces what has that name: it is Create,
// File.Write and Commit.
func Write(path string, data []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Discard()
		return err
	}
	return f.Commit()
}

// Probe checks whether files can be made in a directory.
func Probe(dir string) error {
	f, err := create(dir)
	if err != nil {
		return err
	}
	f.Discard()
	return nil
}

// ProbeFile checks whether a path can be written to.
func ProbeFile(path string) error {
	if !isSpecial(path) {
		return Probe(filepath.Dir(path))
	}
	if err := unix.Access(path, unix.W_OK); err != nil {
		return &fs.PathError{Op: "write to", Path: path, Err: err}
	}
	return nil
}

// ofDescriptor are names of what this process has open, whatever that is; /dev/stdout is a link
// to one.
var ofDescriptor = regexp.MustCompile(`^(?:/proc/self/fd|/dev/fd)/(\d+)$`)

// descriptor is the one that a path names, -1 if it names none.
func descriptor(path string) int {
	target, _ := os.Readlink(path) // empty if it is no link
	for _, name := range []string{path, target} {
		if m := ofDescriptor.FindStringSubmatch(name); m != nil {
			if fd, err := strconv.Atoi(m[1]); err == nil {
				return fd
			}
		}
	}
	return -1
}

// openSpecial opens what is not replaced. A descriptor is duplicated, so that who else writes
// there goes on behind it.
func openSpecial(path string) (*os.File, error) {
	fd := descriptor(path)
	if fd < 0 {
		return os.OpenFile(path, os.O_WRONLY, 0)
	}
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// isSpecial reports whether a path is that of a device, a pipe or a socket, or of something
// that is open.
func isSpecial(path string) bool {
	if descriptor(path) >= 0 {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// File is a file that is written piece by piece and gets its name at the end.
// One goroutine at a time may use it.
type File struct {
	file    *os.File
	temp    string // its name until then; empty if it has none
	path    string
	special bool // it is not replaced, and has its name already
}

// Create begins a file that Commit gives the path. Either Commit or Discard is
// to be called.
func Create(path string) (*File, error) {
	if isSpecial(path) {
		file, err := openSpecial(path)
		if err != nil {
			return nil, err
		}
		return &File{file: file, path: path, special: true}, nil
	}
	f, err := create(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	f.path = path
	return f, nil
}

// Write implements io.Writer.
func (f *File) Write(b []byte) (int, error) {
	n, err := f.file.Write(b)
	return n, f.pathError(err)
}

// Commit gives the file its name, replaces what has it, and closes the file. On error
// there is what was there before. Nothing is synced: after a power failure the file may be
// incomplete.
func (f *File) Commit() error {
	if err := f.commit(); err != nil {
		f.Discard()
		return f.pathError(err)
	}
	return nil
}

// Discard gives the file up.
func (f *File) Discard() {
	f.file.Close() // an error means that it was closed before
	if f.temp != "" {
		os.Remove(f.temp)
	}
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

func create(dir string) (*File, error) {
	f, err := openAnonymous(dir)
	// EISDIR comes from kernels that do not know the flag.
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		return createNamed(dir)
	}
	if err != nil {
		return nil, err
	}
	return &File{file: f}, nil
}

func createNamed(dir string) (*File, error) {
	temp := tempName(dir)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, Mode)
	if err != nil {
		return nil, &fs.PathError{Op: "create a file in", Path: dir, Err: WithoutPath(err)}
	}
	return &File{file: f, temp: temp}, nil
}

func tempName(dir string) string {
	return filepath.Join(dir, fmt.Sprintf("%s%016x", TempPrefix, rand.Uint64()))
}

func (f *File) commit() error {
	if f.special {
		return f.file.Close()
	}
	if f.temp != "" {
		if err := f.file.Close(); err != nil {
			return err
		}
		return os.Rename(f.temp, f.path)
	}
	err := f.link(f.path)
	if errors.Is(err, fs.ErrExist) {
		// Linking replaces nothing, renaming does.
		temp := tempName(filepath.Dir(f.path))
		if err = f.link(temp); err == nil {
			if err = os.Rename(temp, f.path); err != nil {
				os.Remove(temp)
			}
		}
	}
	return errors.Join(err, f.file.Close())
}

func (f *File) link(path string) error {
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.file.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
}

// pathError names the path that the caller knows.
func (f *File) pathError(err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: "write", Path: f.path, Err: WithoutPath(err)}
}

// WithoutPath is an error without the name of the file, for where that is said already.
func WithoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
