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
// The folder has the files of each package under sha256/<digest>/, read-only, what
// is being put or removed under tmp/, and the lock of evictions. A package gets its
// name there when it is complete. A process that is killed leaves at most something
// in tmp/, which others remove.
//
// Whoever uses a package holds a shared lock (flock) of its folder, from Put or Get
// to Installed.Close. The kernel gives it back when a process ends in whatever
// way. What nobody holds can be evicted: the longest unused first, by the time of
// its last Put, Get or Close, which is the folder's time of modification.
//
// Nothing is synced: after a power failure a package may be incomplete. Get checks
// everything, removes what is damaged, and it has to be fetched again.
type Cache struct {
	dir string
	max int64
	log *slog.Logger
}

// CacheConfig describes a cache. The zero value will do.
type CacheConfig struct {
	// MaxBytes bounds the files of the packages in it: 8 GiB if 0. What is being
	// put comes on top until it is complete, or refused.
	MaxBytes int64
	// Logger is told of what is put, evicted and damaged. Nobody is if it is nil.
	Logger *slog.Logger
}

const defaultCacheBytes = 8 << 30

// Errors of caches.
var (
	// ErrNotCached means that the cache has no such package; Put it.
	ErrNotCached = errors.New("the package is not in the cache")
	// ErrCacheFull means that there is no room for a package, and what is there is in
	// use.
	ErrCacheFull = errors.New("no room in the cache")
)

// OpenCache opens the cache in a folder, which is made if need be. A cache needs no
// closing. The folder is to belong to the user who runs the process, and is closed to
// others: who can open its files can hold its locks.
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

// closeToOthers makes a folder, and lets nobody but its owner in. Somebody else's it leaves
// as it is.
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

// Get returns a package of the cache, to be closed. All of its content is read and
// verified; what is damaged is removed. A package that is not there, or no longer,
// is ErrNotCached.
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
		if !hold.isAt(path) { // somebody else has removed it meanwhile
			hold.close()
			return nil
		}
		return c.remove(path, hold)
	})
	return nil, errors.Join(c.missing(d), fmt.Errorf("it was damaged and had to be removed: %w", err), removing)
}

// Put stores the package whose archive r yields, unless it is there already, and
// returns it, to be closed. If wanted is not zero the package must be that one,
// else the error is ErrDigest; when it is there, r is not read at all. All of what
// arrives is checked, and nothing of it is visible before that.
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

// PutPackage stores a package that is open, unless it is there already, and returns
// it, to be closed.
func (c *Cache) PutPackage(p *Package) (*Installed, error) {
	r, w := io.Pipe()
	go func() {
		_, err := p.WriteTo(w)
		w.CloseWithError(err)
	}()
	defer r.Close()
	return c.Put(r, p.Digest())
}

// publish gives what was extracted its name, unless somebody else was quicker.
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
			continue // somebody put it just now; it may be evicted again before Get has it
		}
		if err != nil {
			return nil, errors.Join(c.wrong(err), c.remove(dir, hold))
		}
		c.log.Info("package put into the cache", "digest", p.digest, "name", p.manifest.Name, "bytes", p.diskBytes())
		p.in(path)
		return &Installed{Package: p, dir: path, hold: hold}, nil
	}
}
