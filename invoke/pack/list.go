package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInUse means that a package cannot be deleted now: it is open.
var ErrInUse = errors.New("the package is in use")

// Entry describes a package of a cache.
type Entry struct {
	Digest   Digest
	Bytes    int64     // of its files
	LastUsed time.Time // see Cache
	Manifest Manifest  // if Damage is nil
	Damage   error     // why its manifest cannot be read
}

// List returns the packages of the cache, the least recently used first. It verifies only
// the manifests, and does not count as use.
func (c *Cache) List() ([]Entry, error) {
	all, _, err := c.stored()
	if err != nil {
		return nil, c.wrong(err)
	}
	var entries []Entry
	for _, s := range all {
		d, err := ParseDigest(digestPrefix + filepath.Base(s.path))
		if err != nil {
			continue // not a package
		}
		e := Entry{Digest: d, Bytes: s.bytes, LastUsed: s.used}
		text, err := os.ReadFile(filepath.Join(s.path, manifestFile))
		if err == nil {
			e.Manifest, err = ParseManifest(text)
		}
		if errors.Is(err, fs.ErrNotExist) && gone(s.path) {
			continue
		}
		e.Damage = err
		entries = append(entries, e)
	}
	return entries, nil
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// Delete removes a package. The error is ErrNotCached if it is missing, and ErrInUse if it
// is open.
func (c *Cache) Delete(d Digest) error {
	err := c.locked(func() error {
		path := c.entry(d)
		hold, err := lockExclusive(path)
		if err != nil {
			return err
		}
		return c.remove(path, hold)
	})
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return c.wrong(fmt.Errorf("%v: %w", d, ErrInUse))
	case errors.Is(err, fs.ErrNotExist):
		return c.missing(d)
	case err != nil:
		return c.wrong(err)
	}
	c.log.Info("package deleted from the cache", "digest", d)
	return nil
}
