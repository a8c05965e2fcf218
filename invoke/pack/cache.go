package pack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// Cache holds a node's packages by their digests, in a folder. Any number of
// goroutines and processes may use one folder at the same time; it must be on a
// local file system, for its locks.
//
// The folder has the files of each package under sha256/<digest>/, read-only; packages
// that are being put or removed under tmp/; and the lock of evictions. A package is moved
// to its final name when it is complete. A process that is killed leaves files in tmp/ at
// most, which others remove.
//
// The user of a package holds a shared lock (flock) of its folder, from Put or Get to
// Installed.Close. When a process ends, however it does, the kernel releases its locks.
// A package that is not locked can be evicted: the least recently used first, by the time
// of its last Put, Get or Close, which is the modification time of the folder.
//
// Nothing is synced: after a power failure a package may be incomplete. Get verifies
// everything and removes a damaged package, which has to be fetched again.
type Cache struct {
	dir string
	max int64
	log *slog.Logger
}

// CacheConfig describes a cache. The zero value works.
type CacheConfig struct {
	// MaxBytes bounds the files of the packages: 8 GiB if 0. A package that is being put
	// does not count until it is complete.
	MaxBytes int64
	// Logger is notified of packages that are put, evicted or damaged. It may be nil.
	Logger *slog.Logger
}

const defaultCacheBytes = 8 << 30

// Errors of caches.
var (
	// ErrNotCached means that the cache has no such package; Put it.
	ErrNotCached = errors.New("the package is not in the cache")
	// ErrCacheFull means that there is no room for a package, since the others are in
	// use.
	ErrCacheFull = errors.New("no room in the cache")
)

// OpenCache opens the cache in a folder, which it creates if need be. A cache needs no
// closing. The folder should belong to the user of the process. Others cannot enter it,
// since they could hold its locks.
func OpenCache(dir string, cfg CacheConfig) (*Cache, error) {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultCacheBytes
	}
	if cfg.MaxBytes < 0 {
		return nil, fmt.Errorf("pack: cache %s: MaxBytes is %d: must be positive, or 0 for %d", dir, cfg.MaxBytes, int64(defaultCacheBytes))
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("pack: cache %s: %w", dir, err)
	}
	c := &Cache{dir: dir, max: cfg.MaxBytes, log: cfg.Logger}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if err := closeToOthers(dir); err != nil {
		return nil, fmt.Errorf("pack: cache: %w", err)
	}
	for _, sub := range []string{c.entries(), c.temp()} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return nil, fmt.Errorf("pack: cache: %w", err)
		}
	}
	return c, c.removeLeftovers()
}

// closeToOthers creates a folder that only its owner can enter. An existing folder of
// another user is not changed.
func closeToOthers(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&0o077 == 0 {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return nil
	}
	return os.Chmod(dir, info.Mode().Perm()&0o700)
}

func (c *Cache) entries() string { return filepath.Join(c.dir, "sha256") }
func (c *Cache) temp() string    { return filepath.Join(c.dir, "tmp") }
func (c *Cache) entry(d Digest) string {
	return filepath.Join(c.entries(), d.String()[len(digestPrefix):])
}
func (c *Cache) wrong(err error) error  { return fmt.Errorf("pack: cache %s: %w", c.dir, err) }
func (c *Cache) missing(d Digest) error { return c.wrong(fmt.Errorf("%v: %w", d, ErrNotCached)) }

// Get returns a package of the cache; the caller closes it. Get reads and verifies all of
// the content, and removes a damaged package. If the package is missing or was damaged, the
// error is ErrNotCached.
func (c *Cache) Get(d Digest) (*Installed, error) {
	path := c.entry(d)
	hold, err := lockShared(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, c.missing(d)
	} else if err != nil {
		return nil, c.wrong(err)
	}
	p, err := openInstalled(path)
	if err == nil && p.digest != d {
		err = fmt.Errorf("it has the digest %v: %w", p.digest, ErrDigest)
	}
	if err == nil {
		hold.touch()
		return &Installed{Package: p, dir: path, hold: hold}, nil
	}
	if errors.Is(err, fs.ErrPermission) || isResourceError(err) {
		hold.close()
		return nil, c.wrong(err) // says nothing about the content
	}
	c.log.Warn("package in the cache is damaged, removing it", "digest", d, "error", err)
	removing := c.locked(func() error {
		if !hold.isAt(path) { // another process has removed it
			hold.close()
			return nil
		}
		return c.remove(path, hold)
	})
	return nil, errors.Join(c.missing(d), fmt.Errorf("it was damaged and had to be removed: %w", err), removing)
}

// Put stores the package whose archive r yields, unless it is stored already, and returns
// it; the caller closes it. If wanted is not zero and the package has another digest, the
// error is ErrDigest; if it is stored already, r is not read. The archive is checked in
// full before the package becomes visible.
func (c *Cache) Put(r io.Reader, wanted Digest) (*Installed, error) {
	if !wanted.IsZero() {
		if i, err := c.Get(wanted); !errors.Is(err, ErrNotCached) {
			return i, err
		}
	}
	if err := c.removeLeftovers(); err != nil {
		return nil, err
	}
	dir, hold, err := c.makeTemp()
	if err != nil {
		return nil, c.wrong(err)
	}
	p, err := c.extract(r, dir, wanted)
	if err != nil {
		return nil, errors.Join(err, c.remove(dir, hold))
	}
	return c.publish(p, dir, hold)
}

// PutPackage stores an open package, unless it is stored already, and returns it; the
// caller closes it.
func (c *Cache) PutPackage(p *Package) (*Installed, error) {
	r, w := io.Pipe()
	go func() {
		_, err := p.WriteTo(w)
		w.CloseWithError(err)
	}()
	defer r.Close()
	return c.Put(r, p.Digest())
}

// publish moves an extracted package to its final name, unless another process was first.
func (c *Cache) publish(p *Package, dir string, hold *hold) (*Installed, error) {
	path := c.entry(p.digest)
	for {
		if i, err := c.Get(p.digest); !errors.Is(err, ErrNotCached) {
			return i, errors.Join(err, c.remove(dir, hold))
		}
		err := c.locked(func() error {
			if _, err := os.Lstat(path); err == nil {
				return fs.ErrExist
			}
			if err := c.makeRoom(p.diskBytes()); err != nil {
				return err
			}
			hold.touch()
			return os.Rename(dir, path)
		})
		if errors.Is(err, fs.ErrExist) {
			continue // another process has put it; before Get it may be evicted again
		}
		if err != nil {
			return nil, errors.Join(c.wrong(err), c.remove(dir, hold))
		}
		c.log.Info("package put into the cache", "digest", p.digest, "name", p.manifest.Name, "bytes", p.diskBytes())
		p.in(path)
		return &Installed{Package: p, dir: path, hold: hold}, nil
	}
}
