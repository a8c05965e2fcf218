package wasm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
	wasi "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"
)

// maxOpenFiles bounds the open files and folders of an instance.
const maxOpenFiles = 256

// openDirectories opens the module's directories.
func (m *Module) openDirectories() error {
	for _, d := range m.config.Directories {
		root, err := os.OpenRoot(d.Host)
		if err != nil {
			return fmt.Errorf("wasm: %s: the directory %s: %w", m.config.Name, d.Guest, err)
		}
		m.roots = append(m.roots, root)
	}
	return nil
}

// mount adds the module's directories to an instance.
func (i *instance) mount(c wazero.ModuleConfig) wazero.ModuleConfig {
	if len(i.m.roots) == 0 {
		return c
	}
	files := wazero.NewFSConfig()
	for n, root := range i.m.roots {
		d := i.m.config.Directories[n]
		files = files.(sysfs.FSConfig).WithSysFSMount(&directory{i: i, root: root, writable: d.Writable}, d.Guest)
	}
	return c.WithFSConfig(files)
}

// directory is a folder that an instance can access. wazero's own directories do not confine
// a module, which can make symbolic links; os.Root does. The module cannot make links (others
// may trust the folder), and opens nothing but files and folders: reading a pipe might block
// forever.
type directory struct {
	wasi.UnimplementedFS
	i        *instance
	root     *os.Root
	writable bool
}

// OpenFile implements wazero's interface FS.
func (d *directory) OpenFile(path string, flag wasi.Oflag, perm fs.FileMode) (wasi.File, wasi.Errno) {
	mode := os.O_RDONLY
	switch {
	case flag&wasi.O_RDWR != 0:
		mode = os.O_RDWR
	case flag&wasi.O_WRONLY != 0:
		mode = os.O_WRONLY
	}
	for bit, same := range map[wasi.Oflag]int{
		wasi.O_APPEND: os.O_APPEND, wasi.O_CREAT: os.O_CREATE, wasi.O_EXCL: os.O_EXCL, wasi.O_TRUNC: os.O_TRUNC,
		wasi.O_SYNC: os.O_SYNC, wasi.O_DSYNC: os.O_SYNC, wasi.O_RSYNC: os.O_SYNC,
	} {
		if flag&bit != 0 {
			mode |= same
		}
	}
	if mode&^os.O_SYNC != os.O_RDONLY && !d.writable {
		return nil, wasi.EROFS
	}
	if flag&wasi.O_NOFOLLOW != 0 {
		if info, err := d.root.Lstat(within(path)); err == nil && info.Mode().Type() == fs.ModeSymlink {
			return nil, wasi.ELOOP
		}
	}
	if d.i.openFiles.Add(1) > maxOpenFiles {
		d.i.openFiles.Add(-1)
		return nil, wasi.EAGAIN
	}
	f, errno := d.open(path, mode, perm)
	if errno != 0 {
		d.i.openFiles.Add(-1)
		return nil, errno
	}
	return f, 0
}

func (d *directory) open(path string, mode int, perm fs.FileMode) (wasi.File, wasi.Errno) {
	path = within(path)
	f, err := d.root.OpenFile(path, mode|syscall.O_NONBLOCK, perm) // a pipe does not block
	if err != nil {
		return nil, errnoOf(err)
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = syscall.EACCES
	}
	if err != nil {
		f.Close()
		return nil, errnoOf(err)
	}
	base, errno := (&sysfs.AdaptFS{FS: &opened{root: d.root, first: f}}).OpenFile(path, wasi.O_RDONLY, 0)
	if errno != 0 {
		f.Close()
		return nil, errno
	}
	return &file{File: base, d: d, path: path, f: f, isDir: info.IsDir(), appends: mode&os.O_APPEND != 0}, 0
}

// opened gives wazero the open file. A folder is opened again when it is read from its
// beginning.
type opened struct {
	root  *os.Root
	first *os.File // nil after the first Open
}

// Open implements fs.FS.
func (o *opened) Open(path string) (fs.File, error) {
	f := o.first
	if o.first = nil; f == nil {
		var err error
		if f, err = o.root.OpenFile(path, syscall.O_DIRECTORY, 0); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Stat implements wazero's interface FS.
func (d *directory) Stat(path string) (sys.Stat_t, wasi.Errno) {
	return stat(d.root.Stat(within(path)))
}

// Lstat implements wazero's interface FS.
func (d *directory) Lstat(path string) (sys.Stat_t, wasi.Errno) {
	return stat(d.root.Lstat(within(path)))
}

// Readlink implements wazero's interface FS.
func (d *directory) Readlink(path string) (string, wasi.Errno) {
	to, err := d.root.Readlink(within(path))
	return to, errnoOf(err)
}

// Mkdir implements wazero's interface FS.
func (d *directory) Mkdir(path string, perm fs.FileMode) wasi.Errno {
	return d.change(func() error { return d.root.Mkdir(within(path), perm) })
}

// Rename implements wazero's interface FS.
func (d *directory) Rename(from, to string) wasi.Errno {
	return d.change(func() error { return d.root.Rename(within(from), within(to)) })
}

// Rmdir implements wazero's interface FS.
func (d *directory) Rmdir(path string) wasi.Errno { return d.remove(path, true) }

// Unlink implements wazero's interface FS.
func (d *directory) Unlink(path string) wasi.Errno { return d.remove(path, false) }

func (d *directory) remove(path string, isDir bool) wasi.Errno {
	return d.change(func() error {
		switch info, err := d.root.Lstat(within(path)); {
		case err != nil:
			return err
		case isDir && !info.IsDir():
			return syscall.ENOTDIR
		case !isDir && info.IsDir():
			return syscall.EISDIR
		}
		return d.root.Remove(within(path))
	})
}

// Utimens implements wazero's interface FS. Times are in ns.
func (d *directory) Utimens(path string, accessed, modified int64) wasi.Errno {
	return d.change(func() error { return d.root.Chtimes(within(path), timeOf(accessed), timeOf(modified)) })
}

// within converts a path to the form of os.Root. wazero has cleaned the module's paths, and
// refused those that lead outside. A path relative to "." then begins with "/".
func within(path string) string {
	if path = strings.TrimPrefix(path, "/"); path == "" {
		return "."
	}
	return path
}

// change calls do if the directory is writable.
func (d *directory) change(do func() error) wasi.Errno {
	if !d.writable {
		return wasi.EROFS
	}
	return errnoOf(do())
}

// file is an open file or folder; wazero has the other methods. It is used by one goroutine
// at a time.
type file struct {
	wasi.File
	d              *directory
	path           string
	f              *os.File // for a folder, only until it is read again
	isDir, appends bool
	closed         bool
}

// IsAppend implements wazero's interface File.
func (f *file) IsAppend() bool { return f.appends }

// Read implements wazero's interface File.
func (f *file) Read(p []byte) (int, wasi.Errno) {
	return f.transfer(func() (int, error) { return f.f.Read(p) })
}

// Pread implements wazero's interface File.
func (f *file) Pread(p []byte, at int64) (int, wasi.Errno) {
	return f.transfer(func() (int, error) { return f.f.ReadAt(p, at) })
}

// Write implements wazero's interface File.
func (f *file) Write(p []byte) (int, wasi.Errno) {
	return f.transfer(func() (int, error) { return f.f.Write(p) })
}

// Pwrite implements wazero's interface File.
func (f *file) Pwrite(p []byte, at int64) (int, wasi.Errno) {
	return f.transfer(func() (int, error) { return f.f.WriteAt(p, at) })
}

// transfer reads or writes, unless the call was ended.
func (f *file) transfer(do func() (int, error)) (int, wasi.Errno) {
	if f.isDir {
		return 0, wasi.EISDIR
	}
	if f.d.i.isStopped() {
		return 0, wasi.EINTR
	}
	n, err := do()
	return n, errnoOf(err)
}

// Truncate implements wazero's interface File.
func (f *file) Truncate(size int64) wasi.Errno { return errnoOf(f.f.Truncate(size)) }

// Sync implements wazero's interface File.
func (f *file) Sync() wasi.Errno {
	if f.isDir {
		return 0
	}
	return errnoOf(f.f.Sync())
}

// Datasync implements wazero's interface File.
func (f *file) Datasync() wasi.Errno { return f.Sync() }

// Utimens implements wazero's interface File.
func (f *file) Utimens(accessed, modified int64) wasi.Errno {
	return f.d.Utimens(f.path, accessed, modified)
}

// Close implements wazero's interface File.
func (f *file) Close() wasi.Errno {
	if f.closed {
		return 0
	}
	f.closed = true
	f.d.i.openFiles.Add(-1)
	return f.File.Close()
}

func stat(info fs.FileInfo, err error) (sys.Stat_t, wasi.Errno) {
	if err != nil {
		return sys.Stat_t{}, errnoOf(err)
	}
	return sys.NewStat_t(info), 0
}

// timeOf is a time in ns, or the one that means no change.
func timeOf(ns int64) time.Time {
	if ns == wasi.UTIME_OMIT {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// errnoOf translates errors of os.Root. An error that is not from the system means that the
// path leads outside.
func errnoOf(err error) wasi.Errno {
	var e syscall.Errno
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return 0
	case errors.As(err, &e):
		return wasi.UnwrapOSError(e)
	case errors.Is(err, fs.ErrClosed):
		return wasi.EBADF
	case errors.Is(err, fs.ErrInvalid):
		return wasi.EINVAL
	}
	return wasi.EPERM
}
