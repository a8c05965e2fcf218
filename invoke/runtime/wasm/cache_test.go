package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cached is a module and a folder with its compiled code.
type cached struct {
	t     *testing.T
	code  []byte
	root  string
	entry *cacheEntry
}

func newCached(t *testing.T, code []byte) *cached {
	root := filepath.Join(t.TempDir(), "cache")
	return &cached{t, code, root, cacheEntryOf(root, code)}
}

// use loads the module, and calls it. Afterwards the folder has this entry only.
func (c *cached) use() {
	c.t.Helper()
	m, err := Load(c.t.Context(), c.code, Config{CacheDir: c.root})
	require.NoError(c.t, err)
	afterwards(c.t, m)
	require.NoError(c.t, m.Close())
	all, err := os.ReadDir(c.root)
	require.NoError(c.t, err)
	require.Len(c.t, all, 1, "nothing unfinished is left")
	require.Equal(c.t, filepath.Base(c.entry.dir), all[0].Name())
}

func (c *cached) files() (paths map[string]string) {
	c.t.Helper()
	found, err := c.entry.files()
	require.NoError(c.t, err)
	require.Len(c.t, found, 2)
	paths = map[string]string{"sums": filepath.Join(c.entry.dir, sumsFile)}
	for path := range found {
		if filepath.Base(path) == outlineFile {
			paths["outline"] = path
		} else {
			paths["machine code"] = path
		}
	}
	require.Len(c.t, paths, 3)
	return paths
}

// unchanged reports whether the entry is used as it is.
func (c *cached) unchanged() bool {
	c.t.Helper()
	old := time.Unix(1, 0)
	for _, path := range c.files() {
		require.NoError(c.t, os.Chtimes(path, old, old))
	}
	c.use()
	for _, path := range c.files() {
		info, err := os.Stat(path)
		require.NoError(c.t, err)
		if !info.ModTime().Equal(old) {
			return false
		}
	}
	return true
}

func TestCacheSurvivesDamage(t *testing.T) {
	t.Parallel()
	c := newCached(t, entries(entry("echo", echo)))
	c.use()
	require.True(t, c.unchanged())
	for name, path := range c.files() {
		good, err := os.ReadFile(path)
		require.NoError(t, err)
		damage := func(what string, do func() error) {
			t.Helper()
			require.NoError(t, do())
			require.False(t, c.unchanged(), "%s: %s", name, what)
			now, err := os.ReadFile(path)
			require.NoError(t, err, "%s: %s", name, what)
			require.True(t, bytes.Equal(good, now), "%s: %s", name, what)
			require.True(t, c.unchanged(), "%s: %s", name, what)
		}
		for at := 0; at < len(good); at += len(good)/2 + 1 {
			bad := bytes.Clone(good)
			bad[at] ^= 0x10
			damage("a wrong byte", func() error { return os.WriteFile(path, bad, 0o600) })
		}
		damage("a half", func() error { return os.WriteFile(path, good[:len(good)/2], 0o600) })
		damage("empty", func() error { return os.WriteFile(path, nil, 0o600) })
		damage("more", func() error { return os.WriteFile(path, append(good[:len(good):len(good)], 0), 0o600) })
	}
	for name := range c.files() {
		path := c.files()[name]
		require.NoError(t, os.Remove(path), name)
		c.use()
		require.True(t, c.unchanged(), name)
	}
}

// returning is a module whose entry point f returns n.
func returning(n int32) []byte { return entries(entry("f", i32(n)), entry("echo", echo)) }

func resultOfF(t *testing.T, m *Module) int {
	t.Helper()
	n, err := entryPoint(t, m, "f")(t.Context(), nil, make([]byte, 8))
	require.NoError(t, err)
	return n
}

// exchanged is a module in a cache with the machine code of another one: the result shows
// which was used.
func exchanged(t *testing.T, module, machine []byte) *cached {
	t.Helper()
	c, other := newCached(t, module), newCached(t, machine)
	c.use()
	other.use()
	code, err := os.ReadFile(other.files()["machine code"])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(c.files()["machine code"], code, 0o600))
	c.seal()
	return c
}

// seal updates the checksums to the files as they are.
func (c *cached) seal() {
	outline, err := os.ReadFile(filepath.Join(c.entry.dir, outlineFile))
	require.NoError(c.t, err)
	require.NoError(c.t, c.entry.seal(outline))
}

// An outline without its machine code must never run: it would trap.
func TestCacheOfAnotherProcessor(t *testing.T) {
	t.Parallel()
	c := newCached(t, entries(entry("echo", echo)))
	c.use()
	code := c.files()["machine code"]
	require.NoError(t, os.Rename(code, filepath.Join(filepath.Dir(code), "another")))
	c.seal()
	c.use()
	require.Equal(t, code, c.files()["machine code"])
	require.True(t, c.unchanged())
	// wazero finds it, but it is from another version of wazero.
	b, err := os.ReadFile(code)
	require.NoError(t, err)
	b[7] ^= 1
	require.NoError(t, os.WriteFile(code, b, 0o600))
	c.seal()
	require.False(t, c.unchanged())
	require.True(t, c.unchanged())
}

// The machine code in the cache is what runs.
func TestTheCacheIsUsed(t *testing.T) {
	t.Parallel()
	one := exchanged(t, returning(1), returning(2))
	require.Equal(t, 2, resultOfF(t, load(t, one.code, Config{CacheDir: one.root})))
	require.Equal(t, 1, resultOfF(t, load(t, one.code, Config{CacheDir: one.root, Interpreter: true})), "the interpreter does not use it")
}

// A module that cannot be loaded is refused each time, and leaves nothing.
func TestTheCacheOfWhatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	for _, code := range [][]byte{nil, entries(entry("f", op["get heap"], op["drop"])), entries(entry("f", []byte{0x06}))} {
		root := t.TempDir()
		for range 2 {
			_, err := Load(t.Context(), code, Config{CacheDir: root})
			require.Error(t, err)
			all, err := os.ReadDir(root)
			require.NoError(t, err)
			require.Empty(t, all)
		}
	}
}

func TestACacheToReadOnly(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may write in any folder: run as another user (.ci/run unprivileged does)")
	}
	full, empty := newCached(t, entries(entry("echo", echo))), newCached(t, entries(entry("echo", echo)))
	full.use()
	require.NoError(t, os.Mkdir(empty.root, 0o700))
	for _, c := range []*cached{full, empty} {
		require.NoError(t, filepath.WalkDir(c.root, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(path, 0o500)
				t.Cleanup(func() { _ = os.Chmod(path, 0o700) }) // so that it can be removed
			}
			return err
		}))
		m := load(t, c.code, Config{CacheDir: c.root})
		afterwards(t, m)
		require.Equal(t, c == full, m.cache != nil)
	}
}

// What a killed process has left is removed, once it is old.
func TestTheCacheIsTidied(t *testing.T) {
	t.Parallel()
	c := newCached(t, entries(entry("echo", echo)))
	old, young := filepath.Join(c.root, "new.1"), filepath.Join(c.root, "new.2")
	for _, dir := range []string{old, young} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "whole"), 0o700))
	}
	require.NoError(t, os.Chtimes(old, time.Time{}, time.Now().Add(-2*abandoned)))
	m := load(t, c.code, Config{CacheDir: c.root})
	afterwards(t, m)
	require.NoDirExists(t, old)
	require.DirExists(t, young, "another process may be using it")
}

func TestManyFillTheCacheAtATime(t *testing.T) {
	t.Parallel()
	c := newCached(t, entries(entry("echo", echo)))
	var all sync.WaitGroup // as several processes would
	for range 4 {
		all.Go(func() {
			for range 3 {
				m, err := Load(context.Background(), c.code, Config{CacheDir: c.root})
				if err != nil {
					t.Error(err)
					return
				}
				out := make([]byte, 8)
				f, err := m.Function("echo")
				if err != nil {
					t.Error(err)
				} else if n, err := f(context.Background(), []byte("hello"), out); err != nil || string(out[:n]) != "hello" {
					t.Error(n, err)
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	c.use()
}

// The names in the cache have to change with the code that fills it.
func TestVersionsInTheCache(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../../../go.mod")
	require.NoError(t, err)
	require.Contains(t, string(mod), "github.com/tetratelabs/"+engineVersion)
	h := sha256.New()
	h.Write([]byte(rewriteVersion))
	for _, module := range modules() {
		changed, _, err := instrument(module)
		require.NoError(t, err)
		h.Write(changed)
	}
	require.Equal(t, "494a8e95073ee423", hex.EncodeToString(h.Sum(nil)[:8]), "the output of instrument has changed: change rewriteVersion, then this")
}
