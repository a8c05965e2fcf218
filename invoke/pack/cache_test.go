package pack

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func newCache(t *testing.T, most int64) *Cache {
	t.Helper()
	c, err := OpenCache(filepath.Join(t.TempDir(), "cache"), CacheConfig{MaxBytes: most})
	require.NoError(t, err)
	return c
}

// sized is a package with a file of this size.
func sized(t *testing.T, name string, size int) *Package {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	write(t, dir, "code.wasm", plumbed(export{"echo", 0, 1}))
	write(t, dir, "content", bytes.Repeat([]byte(name[:1]), size))
	return build(t, dir)
}

// nothing fails when it is read.
var nothing = iotest.ErrReader(errors.New("was read"))

func temporaries(t *testing.T, c *Cache) []fs.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(c.temp())
	require.NoError(t, err)
	return entries
}

func TestCache(t *testing.T) {
	t.Parallel()
	c, p := newCache(t, 0), build(t, folder(t))
	_, err := c.Get(p.Digest())
	require.ErrorIs(t, err, ErrNotCached)
	i, err := c.Put(bytes.NewReader(archive(t, p)), p.Digest())
	require.NoError(t, err)
	again, err := c.Put(nothing, p.Digest()) // it is not sent again
	require.NoError(t, err)
	got, err := c.Get(p.Digest())
	require.NoError(t, err)
	unnamed, err := c.Put(bytes.NewReader(archive(t, p)), Digest{})
	require.NoError(t, err)
	passing, err := c.PutPackage(p)
	require.NoError(t, err)
	for _, i := range []*Installed{i, again, got, unnamed, passing} {
		require.Equal(t, p.Digest(), i.Digest())
		require.Equal(t, p.Manifest(), i.Manifest())
		require.Equal(t, p.Files(), i.Files())
		require.Equal(t, p.Size(), i.Size())
		require.Equal(t, filepath.Join(i.Dir(), "code.wasm"), i.ModulePath())
		require.Equal(t, archive(t, p), archive(t, i.Package))
		code, err := os.ReadFile(i.ModulePath())
		require.NoError(t, err)
		require.Equal(t, plumbed(export{"echo", 0, 1}), code)
		m, err := i.OpenModule()
		require.NoError(t, err)
		same, err := io.ReadAll(m)
		require.NoError(t, err)
		require.Equal(t, code, same)
		require.NoError(t, m.Close())
		info, err := os.Stat(i.ModulePath())
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o444), info.Mode())
		require.NoError(t, i.Close())
		require.NoError(t, i.Close())
	}
	require.Empty(t, temporaries(t, c))
}

// A Put that fails leaves nothing behind.
func TestPutRefuses(t *testing.T) {
	t.Parallel()
	c, p, other := newCache(t, 0), build(t, folder(t)), sized(t, "other", 1)
	data := archive(t, p)
	_, err := c.Put(bytes.NewReader(data), other.Digest())
	require.ErrorIs(t, err, ErrDigest)
	_, err = c.Put(bytes.NewReader(data[:len(data)-1]), p.Digest())
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = c.Put(bytes.NewReader(append(bytes.Clone(data), 0)), p.Digest())
	require.ErrorContains(t, err, "follows the end")
	_, err = c.Put(nothing, p.Digest())
	require.ErrorContains(t, err, "was read")
	_, err = newCache(t, p.Size()-1).Put(bytes.NewReader(data), p.Digest())
	require.ErrorContains(t, err, "larger than")
	_, err = c.Get(p.Digest())
	require.ErrorIs(t, err, ErrNotCached)
	require.Empty(t, temporaries(t, c))
	_, err = OpenCache(t.TempDir(), CacheConfig{MaxBytes: -1})
	require.ErrorContains(t, err, "must be positive")
}

// Get notices damage, and Put repairs it.
func TestDamage(t *testing.T) {
	t.Parallel()
	p := build(t, folder(t))
	for name, damage := range map[string]func(dir string) error{
		"a bit": func(dir string) error {
			return replace(filepath.Join(dir, "data", "a"), bytes.Repeat([]byte("A"), blockBytes))
		},
		"cut off":    func(dir string) error { return replace(filepath.Join(dir, "code.wasm"), nil) },
		"missing":    func(dir string) error { return os.Remove(filepath.Join(dir, "empty")) },
		"one more":   func(dir string) error { return os.WriteFile(filepath.Join(dir, "more"), nil, 0o666) },
		"manifest":   func(dir string) error { return replace(filepath.Join(dir, manifestFile), []byte("{}")) },
		"a link":     func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "link")) },
		"no content": func(dir string) error { return os.Remove(filepath.Join(dir, manifestFile)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(t, 0)
			i, err := c.PutPackage(p)
			require.NoError(t, err)
			require.NoError(t, damage(i.Dir()))
			_, err = c.Get(p.Digest())
			require.ErrorIs(t, err, ErrNotCached)
			require.ErrorContains(t, err, "damaged")
			require.NoDirExists(t, i.Dir())
			healed, err := c.PutPackage(p)
			require.NoError(t, err)
			require.NoError(t, healed.Close())
			require.NoError(t, i.Close())
			got, err := c.Get(p.Digest())
			require.NoError(t, err)
			require.NoError(t, got.Close())
			require.Empty(t, temporaries(t, c))
		})
	}
}

func replace(path string, content []byte) error {
	return errors.Join(os.Remove(path), os.WriteFile(path, content, 0o444))
}

// The least recently used package is evicted first, and never one in use.
func TestEviction(t *testing.T) {
	t.Parallel()
	const size = 100_000
	c := newCache(t, 3*size+size/2)
	packages := map[string]*Package{}
	put := func(name string) *Installed {
		packages[name] = sized(t, name, size)
		i, err := c.PutPackage(packages[name])
		require.NoError(t, err)
		return i
	}
	age := func(i *Installed, minutes int) { // time of last use
		at := time.Now().Add(-time.Duration(minutes) * time.Minute)
		require.NoError(t, os.Chtimes(i.Dir(), at, at))
	}
	there := func(names ...string) {
		t.Helper()
		var got []string
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			if p := packages[name]; p != nil {
				if _, err := os.Stat(c.entry(p.Digest())); err == nil {
					got = append(got, name)
				}
			}
		}
		require.Equal(t, names, got)
	}
	a, b := put("a"), put("b")
	cc := put("c")
	require.NoError(t, b.Close())
	require.NoError(t, cc.Close())
	age(a, 30) // in use
	age(b, 20)
	age(cc, 25)
	got, err := c.Get(packages["c"].Digest()) // used now
	require.NoError(t, err)
	info, err := os.Stat(got.Dir())
	require.NoError(t, err)
	require.Less(t, time.Since(info.ModTime()), 5*time.Minute, "Get is a use, even without Close")
	require.NoError(t, got.Close())
	require.NoError(t, put("d").Close())
	there("a", "c", "d")
	age(cc, 5)
	require.NoError(t, a.Close()) // used now, too
	e := put("e")
	there("a", "d", "e")

	held := []*Installed{e}
	for _, name := range []string{"a", "d"} {
		i, err := c.Get(packages[name].Digest())
		require.NoError(t, err)
		held = append(held, i)
	}
	_, err = c.PutPackage(packages["b"])
	require.ErrorIs(t, err, ErrCacheFull)
	there("a", "d", "e")
	require.Empty(t, temporaries(t, c))
	for _, i := range held {
		require.NoError(t, i.Close())
	}
}

// A package that is stored already needs no room.
func TestPutUnnamedEvictsNothing(t *testing.T) {
	t.Parallel()
	const size = 100_000
	c, a, b := newCache(t, 2*size+size/2), sized(t, "a", size), sized(t, "b", size)
	for _, p := range []*Package{a, b, a, b} {
		i, err := c.Put(bytes.NewReader(archive(t, p)), Digest{})
		require.NoError(t, err)
		require.NoError(t, i.Close())
	}
	for _, p := range []*Package{a, b} {
		i, err := c.Get(p.Digest())
		require.NoError(t, err)
		require.NoError(t, i.Close())
	}
}

const (
	asHelper  = "RFAAS_PACK_TEST_HELPER" // the role of the test binary in another process
	helperDir = "RFAAS_PACK_TEST_DIR"
	helperMax = 350_000
)

func TestMain(m *testing.M) {
	switch os.Getenv(asHelper) {
	case "":
		os.Exit(m.Run())
	case "hold":
		holdForever()
	default:
		os.Exit(useCache())
	}
}

// held keeps the package reachable: collection would close its file and release the lock.
var held *Installed

// holdForever begins a Put that does not end, and holds a package.
func holdForever() {
	c := must(OpenCache(os.Getenv(helperDir), CacheConfig{MaxBytes: helperMax}))
	held = must(c.Get(must(ParseDigest(os.Args[1]))))
	r, w := io.Pipe()
	go c.Put(r, Digest{})
	b := must(io.ReadAll(os.Stdin))
	w.Write(b[:len(b)/2])
	os.Stdout.WriteString("ready")
	for { // not select {}: without cgo, the runtime reports that as a deadlock
		time.Sleep(time.Hour)
	}
}

// useCache puts and gets packages from files, many times.
func useCache() int {
	c := must(OpenCache(os.Getenv(helperDir), CacheConfig{MaxBytes: helperMax}))
	for round := range 10 {
		for i, path := range os.Args[1:] {
			p := must(Open(path))
			installed, err := c.PutPackage(p)
			if errors.Is(err, ErrCacheFull) {
				continue // the other processes use the packages
			}
			if err != nil {
				panic("round " + strconv.Itoa(round) + " package " + strconv.Itoa(i) + ": " + err.Error())
			}
			must(installed.WriteTo(io.Discard)) // it is complete
			installed.Close()
			p.Close()
		}
	}
	return 0
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func helper(t *testing.T, what, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), asHelper+"="+what, helperDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// Several processes use one cache that is too small for all packages.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	dir, files := t.TempDir(), []string{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		files = append(files, write(t, dir, name+Extension, archive(t, sized(t, name, 100_000))))
	}
	c, err := OpenCache(filepath.Join(dir, "cache"), CacheConfig{MaxBytes: helperMax})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 3 {
		cmd := helper(t, "use", c.dir, files...)
		wg.Go(func() {
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	_, total, err := c.stored()
	require.NoError(t, err)
	require.LessOrEqual(t, total, int64(helperMax))
	require.NotZero(t, total)
	require.Empty(t, temporaries(t, c))
}

// A running process keeps its package and its unfinished Put; one that is killed loses both.
func TestKilled(t *testing.T) {
	t.Parallel()
	c, a, b := newCache(t, helperMax), sized(t, "a", 200_000), sized(t, "b", 200_000)
	i, err := c.PutPackage(a)
	require.NoError(t, err)
	require.NoError(t, i.Close())
	cmd := helper(t, "hold", c.dir, a.Digest().String())
	cmd.Stdin = bytes.NewReader(archive(t, sized(t, "c", 300_000)))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	ready := make([]byte, 5)
	_, err = io.ReadFull(out, ready)
	require.NoError(t, err)
	_, err = c.PutPackage(b)
	require.ErrorIs(t, err, ErrCacheFull)
	require.NoError(t, c.removeLeftovers())
	require.Len(t, temporaries(t, c), 1)

	require.NoError(t, cmd.Process.Kill())
	cmd.Wait()
	i, err = c.PutPackage(b)
	require.NoError(t, err)
	require.NoError(t, i.Close())
	_, err = c.Get(a.Digest())
	require.ErrorIs(t, err, ErrNotCached)
	entries, err := os.ReadDir(c.entries())
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Empty(t, temporaries(t, c))
}

// Evictions exclude each other, and a lock on a folder that was moved away fails.
func TestLocks(t *testing.T) {
	t.Parallel()
	c := newCache(t, 0)
	require.NoError(t, c.locked(func() error {
		f, err := os.Open(filepath.Join(c.dir, "lock"))
		require.NoError(t, err)
		defer f.Close()
		require.ErrorIs(t, flock(f, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
		return nil
	}))
	path, shared, err := c.makeTemp()
	require.NoError(t, err)
	_, err = lockExclusive(path)
	require.ErrorIs(t, err, unix.EWOULDBLOCK)
	shared.close()
	exclusive, err := lockExclusive(path)
	require.NoError(t, err)
	result := make(chan error)
	go func() {
		_, err := lockShared(path)
		result <- err
	}()
	require.NoError(t, c.remove(path, exclusive))
	require.ErrorIs(t, <-result, fs.ErrNotExist)
}

// Other users cannot open files that they could lock.
func TestCacheIsClosedToOthers(t *testing.T) {
	t.Parallel()
	open := filepath.Join(t.TempDir(), "open")
	require.NoError(t, os.Mkdir(open, 0o755))
	require.NoError(t, os.Chmod(open, 0o755))
	for _, dir := range []string{open, filepath.Join(t.TempDir(), "not there", "yet")} {
		_, err := OpenCache(dir, CacheConfig{})
		require.NoError(t, err)
		info, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, fs.ModeDir|0o700, info.Mode())
	}
}

// List has the least recently used package first, damaged ones included. It does not count as
// use.
func TestList(t *testing.T) {
	t.Parallel()
	c := newCache(t, 0)
	empty, err := c.List()
	require.NoError(t, err)
	require.Empty(t, empty)
	var digests []Digest
	for age, name := range []string{"new", "old", "damaged"} {
		p := sized(t, name, 1000)
		i, err := c.PutPackage(p)
		require.NoError(t, err)
		require.NoError(t, i.Close())
		digests = append(digests, p.Digest())
		if name == "damaged" {
			require.NoError(t, os.Remove(filepath.Join(c.entry(p.Digest()), manifestFile)))
		}
		then := time.Now().Add(-time.Duration(age) * time.Hour)
		require.NoError(t, os.Chtimes(c.entry(p.Digest()), then, then))
	}
	require.NoError(t, os.Mkdir(filepath.Join(c.entries(), "something else"), 0o755))
	for range 2 {
		list, err := c.List()
		require.NoError(t, err)
		require.Len(t, list, 3)
		require.Equal(t, []Digest{digests[2], digests[1], digests[0]}, []Digest{list[0].Digest, list[1].Digest, list[2].Digest})
		require.ErrorIs(t, list[0].Damage, os.ErrNotExist)
		require.NoError(t, list[1].Damage)
		require.Equal(t, "old", list[1].Manifest.Name)
		require.Greater(t, list[1].Bytes, int64(1000))
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c, p := newCache(t, 0), sized(t, "a", 1000)
	require.ErrorIs(t, c.Delete(p.Digest()), ErrNotCached)
	used, err := c.PutPackage(p)
	require.NoError(t, err)
	require.ErrorIs(t, c.Delete(p.Digest()), ErrInUse)
	require.NoError(t, used.Close())
	require.NoError(t, c.Delete(p.Digest()))
	require.NoDirExists(t, c.entry(p.Digest()))
	require.Empty(t, temporaries(t, c))
}

// Programs can be executed from a cache; other files cannot, and none can be written.
func TestInstalledModes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "run.py", []byte("#!/bin/sh"))
	write(t, dir, "bin/tool", []byte(magicELF+"..."))
	write(t, dir, "short", []byte("#"))
	write(t, dir, "text", []byte("a text"))
	write(t, dir, "manifest.json", []byte(`{"name": "n", "module": "run.py"}`))
	c, err := OpenCache(t.TempDir(), CacheConfig{})
	require.NoError(t, err)
	i, err := c.PutPackage(build(t, dir))
	require.NoError(t, err)
	defer i.Close()
	for name, want := range map[string]fs.FileMode{"run.py": 0o555, "bin/tool": 0o555, "short": 0o444, "text": 0o444, "manifest.json": 0o444} {
		path := filepath.Join(i.Dir(), name)
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, want, info.Mode(), name)
		installed, err := os.ReadFile(path)
		require.NoError(t, err)
		packed, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		if name != "manifest.json" {
			require.Equal(t, packed, installed)
		}
	}
}
