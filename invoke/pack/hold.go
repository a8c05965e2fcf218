package pack

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// hold is a folder of the cache with a lock on it. The lock belongs to the open file, so
// that two holds of one process are as independent as those of two processes.
type hold struct{ folder *os.File }

// lockShared locks a folder for use.
func lockShared(path string) (*hold, error) { return lock(path, unix.LOCK_SH) }

// lockExclusive locks a folder for removal. If it is in use, the error is EWOULDBLOCK.
func lockExclusive(path string) (*hold, error) { return lock(path, unix.LOCK_EX|unix.LOCK_NB) }

func lock(path string, how int) (*hold, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := flock(f, how); err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	h := &hold{f}
	if !h.isAt(path) { // it was moved away before it was locked
		h.close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: fs.ErrNotExist}
	}
	return h, nil
}

// isAt reports whether the folder is still at that path.
func (h *hold) isAt(path string) bool {
	here, err := h.folder.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(here, there)
}

// touch sets the time of last use. That fails only in a cache of another user, which then
// does not have the time.
func (h *hold) touch() {
	unix.UtimesNanoAt(int(h.folder.Fd()), ".", nil, 0)
}

func (h *hold) close() { h.folder.Close() }

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// tempName is an unused path in tmp.
func (c *Cache) tempName() string { return filepath.Join(c.temp(), rand.Text()) }

// makeTemp makes a folder in tmp, locked for use.
func (c *Cache) makeTemp() (string, *hold, error) {
	for {
		path := c.tempName()
		if err := os.Mkdir(path, 0o755); err != nil {
			return "", nil, err
		}
		// Another process may just remove it as a leftover.
		hold, err := lockShared(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return path, hold, err
		}
	}
}

// isResourceError reports whether an error is due to limits of this process or machine.
func isResourceError(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
