package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/rfaas-go/rfaas/invoke/pack"
)

// userCache is found when the program starts: 'bench' moves the user's caches
// elsewhere later, and takes packages from here all the same.
var userCache, errUserCache = os.UserCacheDir()

// packageCacheFolder is where this user's packages are kept.
func packageCacheFolder() (string, error) {
	if errUserCache != nil {
		return "", fmt.Errorf("there is no folder for a cache: %w", errUserCache)
	}
	return filepath.Join(userCache, "rfaas", "packages"), nil
}

// openPackageCache opens the cache, and makes it if necessary.
func openPackageCache(log *slog.Logger) (*pack.Cache, error) {
	dir, err := packageCacheFolder()
	if err != nil {
		return nil, err
	}
	return pack.OpenCache(dir, pack.CacheConfig{Logger: log})
}

// cached is a package of the cache, as it is listed. Its JSON is for scripts.
type cached struct {
	Digest    pack.Digest    `json:"digest"`
	SizeBytes int64          `json:"size_bytes"` // of its files
	LastUsed  time.Time      `json:"last_used"`
	Manifest  *pack.Manifest `json:"manifest,omitempty"`
	Problem   string         `json:"problem,omitempty"` // why there is no manifest
}

// listCached lists what is in the cache, and makes none.
func listCached() ([]cached, error) {
	dir, err := packageCacheFolder()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	cache, err := openPackageCache(nil)
	if err != nil {
		return nil, err
	}
	entries, err := cache.List()
	all := make([]cached, len(entries))
	for i, e := range entries {
		all[i] = cached{Digest: e.Digest, SizeBytes: e.Bytes, LastUsed: e.LastUsed.UTC()}
		if e.Damage != nil {
			all[i].Problem = "damaged: " + e.Damage.Error()
		} else {
			all[i].Manifest = &e.Manifest
		}
	}
	return all, err
}

// deleteCached deletes a package that is not in use.
func deleteCached(cache *pack.Cache, d pack.Digest) error {
	err := cache.Delete(d)
	switch {
	case errors.Is(err, pack.ErrInUse):
		return fmt.Errorf("%w; try again when the program that uses it has ended", err)
	case errors.Is(err, pack.ErrNotCached):
		return fmt.Errorf("%w; 'rfaas cache list' shows what is", err)
	}
	return err
}
