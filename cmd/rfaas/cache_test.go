//go:build cgo

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke/pack"
)

// cacheTest is a user with a cache of their own.
type cacheTest struct {
	t      *testing.T
	dir    string // where programs are run
	home   string // XDG_CACHE_HOME
	folder string // of the packages
}

func newCacheTest(t *testing.T) *cacheTest {
	home := t.TempDir()
	return &cacheTest{t: t, dir: t.TempDir(), home: home, folder: filepath.Join(home, "rfaas", "packages")}
}

func (c *cacheTest) start(args ...string) *started {
	c.t.Helper()
	return startWith(c.t, c.dir, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+c.home) }, args...)
}

func (c *cacheTest) run(args ...string) (status int, stdout, stderr string) {
	c.t.Helper()
	s := c.start(args...)
	status = s.wait()
	return status, s.stdout.String(), s.stderr.String()
}

// succeed is run of what has nothing to complain of.
func (c *cacheTest) succeed(args ...string) (stdout string) {
	c.t.Helper()
	status, stdout, stderr := c.run(args...)
	require.Equal(c.t, exitOK, status, stderr)
	require.Empty(c.t, stderr)
	return stdout
}

// add makes a package with a name of a shared object, puts it into the cache and
// returns its digest. The file is gone.
func (c *cacheTest) add(name string, functions ...string) string {
	c.t.Helper()
	if _, err := os.Stat(filepath.Join(c.dir, "text.so")); err != nil {
		library(c.t, c.dir, "text.so")
	}
	args := []string{"pack", "-o", "x.rfaas", "--name", name, "text.so"}
	for _, f := range functions {
		args = append(args, "--function", f)
	}
	packed := c.succeed(args...)
	added := c.succeed("cache", "add", "x.rfaas")
	require.Equal(c.t, packed, added)
	require.NoError(c.t, os.Remove(filepath.Join(c.dir, "x.rfaas")))
	return strings.TrimSpace(strings.TrimPrefix(added, "x.rfaas: "))
}

// list is what the cache has, by names.
func (c *cacheTest) list() (names []string, entries []cached) {
	c.t.Helper()
	entries = decodeLines[cached](c.t, c.succeed("cache", "list", "--json"))
	for _, e := range entries {
		if e.Manifest != nil {
			names = append(names, e.Manifest.Name)
		}
	}
	return names, entries
}

func (c *cacheTest) module(digest string) string {
	return filepath.Join(c.folder, "sha256", strings.TrimPrefix(digest, "sha256:"), "text.so")
}

// Packages of the cache are called by their digests, by every command that calls
// functions, whatever becomes of their files.
func TestCacheCall(t *testing.T) {
	t.Parallel()
	c := newCacheTest(t)
	one, two := c.add("one", "shout=upper,idempotent"), c.add("two", "shout=upper", "crash=crash")
	write(t, c.dir, "a", "this is a\n")

	for _, name := range []string{one, two + ":shout"} {
		require.Contains(t, c.succeed("run", "-f", name, "-o", "out", "a"), "shout: 1 of 1 input done")
		require.Equal(t, "THIS IS A\n", read(t, c.dir, "out", "a"))
		require.NoError(t, os.RemoveAll(filepath.Join(c.dir, "out")))
	}
	require.Equal(t, "HELLO", c.succeed("invoke", one+":shout", "--data", "hello"))
	require.Contains(t, c.succeed("bench", "cold-start", "-f", one, "--mode", "warm", "--iterations", "1", "--json"), `"runtime":"native"`)

	for want, name := range map[string]string{
		two + ` has 2 functions: choose one with ` + two + `:NAME; there are: shout, crash`:                             two,
		one + ` has no function "whisper"; there are: shout`:                                                            one + ":whisper",
		`"sha256:0123" is not a digest: must be sha256: and 64 hexadecimal digits`:                                      "sha256:0123",
		`sha256:` + strings.Repeat("0", 64) + `: the package is not in the cache; 'rfaas cache add FILE' puts it there`: "sha256:" + strings.Repeat("0", 64),
	} {
		status, stdout, stderr := c.run("run", "-f", name, "a")
		require.Equal(t, name == "sha256:0123", status == exitUsage, stderr)
		require.Empty(t, stdout)
		require.Contains(t, stderr, want)
	}
}

// A shared object that is called from its file, or from a package of that alone, is not put into
// the cache, nor is one made.
func TestCacheIsAskedFor(t *testing.T) {
	t.Parallel()
	c := newCacheTest(t)
	library(t, c.dir, "text.so")
	c.succeed("pack", "-o", "text.rfaas", "text.so")
	for _, file := range []string{"text.so:upper", "text.rfaas:upper"} {
		require.Equal(t, "HELLO", c.succeed("invoke", file, "--data", "hello"))
	}
	require.NoDirExists(t, c.folder)
	status, stdout, stderr := c.run("cache", "list")
	require.Equal(t, exitOK, status)
	require.Empty(t, stdout)
	require.Equal(t, "rfaas cache list: the cache is empty; add a package with 'rfaas cache add FILE'\n", stderr)
	require.NoDirExists(t, c.folder)
}

// The cache is listed, the longest unused first: calls are uses, and lists are not.
func TestCacheList(t *testing.T) {
	t.Parallel()
	c := newCacheTest(t)
	one := c.add("one", "shout=upper,idempotent")
	two := c.add("two", "crash")
	for age, digest := range map[time.Duration]string{time.Hour: two, 2 * time.Hour: one} {
		then := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(filepath.Dir(c.module(digest)), then, then))
	}
	require.NoError(t, os.Mkdir(filepath.Join(c.folder, "sha256", "something else"), 0o755))

	names, entries := c.list()
	require.Equal(t, []string{"one", "two"}, names)
	require.Equal(t, one, entries[0].Digest.String())
	info, err := os.Stat(c.module(one))
	require.NoError(t, err)
	require.Equal(t, info.Size()+int64(len(entries[0].Manifest.JSON())), entries[0].SizeBytes)

	c.succeed("invoke", one, "--data", "hello")
	names, again := c.list()
	require.Equal(t, []string{"two", "one"}, names)
	require.Equal(t, entries[1], again[0])
	require.Regexp(t, `^`+two+`: two 0\.0\.0
  runtime     native
  function    crash
  size        \d+ bytes
  last used   20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ
`+one+`: one 0\.0\.0
  runtime     native
  function    shout, entry point upper, idempotent
  size        \d+ bytes
  last used   20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ
$`, c.succeed("cache", "list"))
}

// What is damaged is not called, and told from what never was there.
func TestCacheDamaged(t *testing.T) {
	t.Parallel()
	c := newCacheTest(t)
	digest, broken := c.add("one", "upper"), c.add("two", "upper")
	code, err := os.ReadFile(c.module(digest))
	require.NoError(t, err)
	code[len(code)/2] ^= 1
	require.NoError(t, os.Remove(c.module(digest)))
	require.NoError(t, os.WriteFile(c.module(digest), code, 0o444))
	require.NoError(t, os.Remove(filepath.Join(filepath.Dir(c.module(broken)), "manifest.json")))

	text := c.succeed("cache", "list")
	require.Contains(t, text, broken+"\n  problem     damaged: open ")

	status, stdout, stderr := c.run("invoke", digest, "--data", "hello")
	require.Equal(t, exitFailed, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "it was damaged and had to be removed")
	c.succeed("cache", "delete", broken)
	names, _ := c.list()
	require.Empty(t, names)
}

// A package in use is not deleted, one that is not is, and the rest stays.
func TestCacheDelete(t *testing.T) {
	t.Parallel()
	c := newCacheTest(t)
	one, two, three := c.add("one", "upper"), c.add("two", "upper"), c.add("three", "upper")
	cache, err := pack.OpenCache(c.folder, pack.CacheConfig{})
	require.NoError(t, err)
	d, err := pack.ParseDigest(one)
	require.NoError(t, err)
	inUse, err := cache.Get(d)
	require.NoError(t, err)
	defer inUse.Close()

	status, _, stderr := c.run("cache", "delete", one, two) // one failure is not the end
	require.Equal(t, exitFailed, status)
	require.Equal(t, "rfaas cache delete: cache "+c.folder+": "+one+": the package is in use; try again when the program that uses it has ended\n", stderr)
	require.FileExists(t, inUse.ModulePath())
	names, _ := c.list()
	require.ElementsMatch(t, []string{"one", "three"}, names)

	require.NoError(t, inUse.Close())
	require.Empty(t, c.succeed("cache", "delete", one))
	status, _, stderr = c.run("cache", "delete", one)
	require.Equal(t, exitFailed, status)
	require.Equal(t, "rfaas cache delete: cache "+c.folder+": "+one+": the package is not in the cache; 'rfaas cache list' shows what is\n", stderr)

	left, err := os.ReadDir(filepath.Join(c.folder, "tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, "HELLO", c.succeed("invoke", three, "--data", "hello"))
	_, err = cache.Get(d)
	require.ErrorIs(t, err, pack.ErrNotCached)
}

// A deletion waits for the cache's lock: an eviction or publication under way would
// otherwise miss it.
func TestCacheDeleteWaits(t *testing.T) {
	t.Parallel()
	c := newCacheTest(t)
	digest := c.add("one", "upper")
	lock, err := os.Open(filepath.Join(c.folder, "lock"))
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))

	s := c.start("cache", "delete", digest)
	waits := regexp.MustCompile(fmt.Sprintf(`-> FLOCK .* %d `, s.cmd.Process.Pid))
	require.True(t, eventually(20*time.Second, func() bool {
		locks, err := os.ReadFile("/proc/locks")
		require.NoError(t, err)
		return waits.Match(locks)
	}), "it does not wait")
	require.FileExists(t, c.module(digest))

	require.NoError(t, lock.Close())
	require.Equal(t, exitOK, s.wait(), &s.stderr)
	require.NoFileExists(t, c.module(digest))
}

func TestCacheUsage(t *testing.T) {
	t.Parallel()
	c := newCacheTest(t)
	unknown := "sha256:" + strings.Repeat("0", 64)
	for _, u := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{}, exitUsage, "rfaas cache: which command? there are: add, list, delete\n"},
		{[]string{"add"}, exitUsage, "rfaas cache add: which FILE? "},
		{[]string{"add", "nothing.so"}, exitFailed, "rfaas cache add: open nothing.so: no such file or directory\n"},
		{[]string{"list", "x"}, exitUsage, `rfaas cache list: unknown command "x" for "rfaas cache list"`},
		{[]string{"delete"}, exitUsage, "rfaas cache delete: which package? a DIGEST, as 'rfaas cache list' shows it\n"},
		{[]string{"delete", unknown, "hello"}, exitUsage, `rfaas cache delete: "hello" is not a digest: `},
		{[]string{"delete", unknown}, exitFailed, "rfaas cache delete: cache " + c.folder + ": " + unknown + ": the package is not in the cache; "},
	} {
		status, stdout, stderr := c.run(append([]string{"cache"}, u.args...)...)
		require.Equal(t, u.status, status, stderr)
		require.Empty(t, stdout)
		require.Contains(t, stderr, u.want)
	}

	homeless := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "HOME=", "XDG_CACHE_HOME=") }
	for _, args := range [][]string{{"cache", "list"}, {"cache", "add", "x"}, {"cache", "delete", unknown}, {"invoke", unknown}} {
		s := startWith(t, c.dir, homeless, args...)
		require.NotEqual(t, exitOK, s.wait())
		require.Contains(t, s.stderr.String(), "there is no folder for a cache: ")
	}
}
