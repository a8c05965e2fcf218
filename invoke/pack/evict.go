package pack

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// stored is a package of a cache.
type stored struct {
	path  string
	bytes int64
	used  time.Time
}

// locked calls do with the lock of evictions, so that processes see what others evict and
// add.
func (c *Cache) locked(do func() error) error {
	lock, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close() // which gives the lock back
	if err := flock(lock, unix.LOCK_EX); err != nil {
		return err
	}
	return do()
}

// makeRoom evicts packages until there is room for so many bytes.
func (c *Cache) makeRoom(need int64) error {
	all, total, err := c.stored()
	if err != nil {
		return err
	}
	for _, s := range all {
		if total+need <= c.max {
			break
		}
		evicted, err := c.evict(s.path)
		if err != nil {
			return err
		}
		if evicted {
			total -= s.bytes
			c.log.Info("package evicted from the cache", "path", s.path, "bytes", s.bytes, "used", s.used)
		}
	}
	if total+need > c.max {
		return fmt.Errorf("%d bytes are needed, and %d of %d are taken by packages in use: end their executors, or allow the cache more: %w", need, total, c.max, ErrCacheFull)
	}
	return nil
}

// stored lists the packages, the least recently used first.
func (c *Cache) stored() (all []stored, total int64, err error) {
	entries, err := os.ReadDir(c.entries())
	if err != nil {
		return nil, 0, err
	}
	for _, entry := range entries {
		s := stored{path: filepath.Join(c.entries(), entry.Name())}
		err := filepath.WalkDir(s.path, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			if path == s.path {
				s.used = info.ModTime()
			}
			if info.Mode().IsRegular() {
				s.bytes += info.Size()
			}
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was removed meanwhile
		} else if err != nil {
			return nil, 0, err
		}
		total += s.bytes
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b stored) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path)) })
	return all, total, nil
}

// evict removes a package unless it is in use.
func (c *Cache) evict(path string) (bool, error) {
	hold, err := lockExclusive(path)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return false, nil
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	}
	return true, c.remove(path, hold)
}

// remove removes a folder of the cache and releases its lock. It moves a package to tmp
// first, so that no reader finds parts of it.
func (c *Cache) remove(path string, hold *hold) error {
	defer hold.close()
	if filepath.Dir(path) != c.temp() {
		moved := c.tempName()
		if err := os.Rename(path, moved); errors.Is(err, fs.ErrNotExist) {
			return nil // another process has removed it
		} else if err != nil {
			return err
		}
		path = moved
	}
	return os.RemoveAll(path)
}

// removeLeftovers removes what killed processes have left in tmp. Running processes hold
// locks of their folders.
func (c *Cache) removeLeftovers() error {
	entries, err := os.ReadDir(c.temp())
	if err != nil {
		return c.wrong(err)
	}
	for _, entry := range entries {
		if _, err := c.evict(filepath.Join(c.temp(), entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.wrong(err)
		}
	}
	return nil
}
