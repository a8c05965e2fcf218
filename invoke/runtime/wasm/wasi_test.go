package wasm

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
)

// The errors of WASI that are expected here, as numbers of its ABI.
const (
	errAccess    = 2
	errAgain     = 6
	errBadFile   = 8
	errIsDir     = 31
	errLoop      = 32
	errNoEntry   = 44
	errNoSystem  = 52
	errNotDir    = 54
	errNotEmpty  = 55
	errNoSupport = 58
	errNotPerm   = 63
	errReadOnly  = 69
)

// wasiCalls are the system calls of a guest, with the types of their parameters: i for i32,
// I for i64. All return an error.
var wasiCalls = map[string]string{
	"path_open": "iiiiiIIii", "path_create_directory": "iii", "path_remove_directory": "iii", "path_unlink_file": "iii",
	"path_rename": "iiiiii", "path_symlink": "iiiii", "path_link": "iiiiiii", "path_readlink": "iiiiii",
	"path_filestat_get": "iiiii", "path_filestat_set_times": "iiiiIIi",
	"fd_read": "iiii", "fd_write": "iiii", "fd_pread": "iiiIi", "fd_pwrite": "iiiIi", "fd_close": "i", "fd_seek": "iIii", "fd_filestat_set_size": "iI",
	"fd_filestat_set_times": "iIIi", "fd_readdir": "iiiIi", "fd_sync": "i", "fd_renumber": "ii", "fd_prestat_get": "ii", "fd_fdstat_get": "ii",
	"sock_accept": "iii", "sock_recv": "iiiiii", "sock_send": "iiiii", "sock_shutdown": "ii",
}

// The memory of a guest, beyond the host's areas.
const (
	guestResult  = 1 << 16 // results that a call stores
	guestVector  = guestResult + 64
	guestBuffer  = guestResult + 128
	guestStrings = guestResult + 4096
)

// guest is a module with an entry point for each system call. Its input is the parameters, 8
// bytes each.
type guest struct {
	t *testing.T
	m *Module
}

func newGuest(t *testing.T, config Config) *guest {
	t.Helper()
	p := program{pages: 40}
	for name, parameters := range wasiCalls {
		kinds, code := []byte{}, get(2) // where the result is stored
		for n, kind := range parameters {
			code = cat(code, get(0), []byte{0x29, 3}, appendU32(nil, uint32(8*n))) // i64.load
			if kind == 'i' {
				kinds, code = append(kinds, 0x7f), append(code, 0xa7) // i32.wrap_i64
			} else {
				kinds = append(kinds, 0x7e)
			}
		}
		index := len(p.imports)
		p.imports = append(p.imports, imported{"wasi_snapshot_preview1", name, byte(typeMore + index)})
		p.types = append(p.types, cat([]byte{0x60}, appendBytes(nil, kinds), []byte{1, 0x7f}))
		p.functions = append(p.functions, entry(name, code, call(uint32(index)), op["store"], i32(4)))
	}
	return &guest{t, load(t, assemble(p), config)}
}

// try makes a system call; a string is two parameters.
func (g *guest) try(name string, arguments ...any) (errno int, err error) {
	g.t.Helper()
	memory := g.m.current.Load().memory
	var in []byte
	text := uint32(guestStrings)
	add := func(v int64) { in = binary.LittleEndian.AppendUint64(in, uint64(v)) }
	for _, a := range arguments {
		switch a := a.(type) {
		case int:
			add(int64(a))
		case string:
			require.True(g.t, memory.WriteString(text, a))
			add(int64(text))
			add(int64(len(a)))
			text += uint32(len(a))
		default:
			require.Fail(g.t, "a parameter that is neither a number nor a string")
		}
	}
	require.Len(g.t, in, 8*len(wasiCalls[name]), name)
	out := make([]byte, 4)
	_, err = entryPoint(g.t, g.m, name)(g.t.Context(), in, out)
	return int(binary.LittleEndian.Uint32(out)), err
}

func (g *guest) call(name string, arguments ...any) (errno int) {
	g.t.Helper()
	errno, err := g.try(name, arguments...)
	require.NoError(g.t, err)
	return errno
}

// word is the result that a call has stored.
func (g *guest) word() int {
	v, ok := g.m.current.Load().memory.ReadUint32Le(guestResult)
	require.True(g.t, ok)
	return int(v)
}

// How files are opened.
const (
	create, directoryOnly, exclusive, truncate = 1, 2, 4, 8
	toRead, toWrite                            = 1 << 1, 1 << 6
	appending                                  = 1
	follow                                     = 1
	first                                      = 3             // the descriptor of the first directory
	second                                     = 1_000_000_000 // in ns
)

func (g *guest) openAt(dir, lookup int, path string, how, rights, flags int) (fd, errno int) {
	errno = g.call("path_open", dir, lookup, path, how, rights, rights, flags, guestResult)
	return g.word(), errno
}

func (g *guest) open(path string, how, rights, flags int) int {
	g.t.Helper()
	fd, errno := g.openAt(first, follow, path, how, rights, flags)
	require.Zero(g.t, errno, path)
	return fd
}

// buffer makes a list of one buffer.
func (g *guest) buffer(at, size int) {
	memory := g.m.current.Load().memory
	require.True(g.t, memory.WriteUint32Le(guestVector, uint32(at)) && memory.WriteUint32Le(guestVector+4, uint32(size)))
}

func (g *guest) read(fd int) string {
	g.t.Helper()
	g.buffer(guestBuffer, 1000)
	require.Zero(g.t, g.call("fd_read", fd, guestVector, 1, guestResult))
	return g.content(g.word())
}

func (g *guest) content(n int) string {
	b, ok := g.m.current.Load().memory.Read(guestBuffer, uint32(n))
	require.True(g.t, ok)
	return string(b)
}

func (g *guest) write(fd int, text string) (errno int) {
	g.t.Helper()
	require.True(g.t, g.m.current.Load().memory.WriteString(guestBuffer, text))
	g.buffer(guestBuffer, len(text))
	return g.call("fd_write", fd, guestVector, 1, guestResult)
}

func (g *guest) close(fd int) {
	g.t.Helper()
	require.Zero(g.t, g.call("fd_close", fd))
}

// files makes a folder with a file, and another folder beside it.
func files(t *testing.T) (dir, outside string) {
	t.Helper()
	base := t.TempDir()
	dir, outside = filepath.Join(base, "given"), filepath.Join(base, "outside")
	for _, d := range []string{dir, filepath.Join(dir, "sub"), outside} {
		require.NoError(t, os.Mkdir(d, 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600))
	return dir, outside
}

func contentOf(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(b)
}

func TestWritableDirectory(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, config Config) {
		dir, _ := files(t)
		config.Directories = []Directory{{Guest: "/data", Host: dir, Writable: true}}
		g := newGuest(t, config)

		fd := g.open("file", 0, toRead, 0)
		require.Equal(t, "content", g.read(fd))
		require.Empty(t, g.read(fd), "the end")
		require.Zero(t, g.call("fd_seek", fd, 3, 0, guestResult))
		require.Equal(t, "tent", g.read(fd))
		require.NotZero(t, g.write(fd, "x"), "it was opened for reading")
		g.close(fd)
		require.Equal(t, errBadFile, g.call("fd_close", fd))

		fd = g.open("sub/new", create|exclusive, toRead|toWrite, 0)
		require.Zero(t, g.write(fd, "hello"))
		g.buffer(guestBuffer+1, 2) // "el"
		require.Zero(t, g.call("fd_pwrite", fd, guestVector, 1, 3, guestResult))
		g.buffer(guestBuffer, 1000)
		require.Zero(t, g.call("fd_pread", fd, guestVector, 1, 1, guestResult))
		require.Equal(t, "elel", g.content(g.word()))
		require.Zero(t, g.call("fd_sync", fd))
		require.Equal(t, "helel", contentOf(t, dir, "sub/new"))
		require.Zero(t, g.call("fd_filestat_set_size", fd, 2))
		require.Zero(t, g.call("fd_filestat_set_times", fd, second, 2*second, 1|4))
		g.close(fd)
		info, err := os.Stat(filepath.Join(dir, "sub/new"))
		require.NoError(t, err)
		require.Equal(t, time.Unix(2, 0), info.ModTime().Local())
		require.EqualValues(t, 2, info.Size())
		require.EqualValues(t, 0o600, info.Mode())

		fd = g.open("sub/new", 0, toWrite, appending)
		require.Zero(t, g.write(fd, "+"))
		g.close(fd)
		require.Equal(t, "he+", contentOf(t, dir, "sub/new"))
		g.close(g.open("sub/new", truncate, toWrite, 0))
		require.Empty(t, contentOf(t, dir, "sub/new"))

		require.Zero(t, g.call("path_filestat_set_times", first, follow, "file", second, 3*second, 4))
		require.Zero(t, g.call("path_filestat_get", first, follow, "file", guestBuffer))
		require.Equal(t, "\x07", g.content(33)[32:], "its size")
		require.Zero(t, g.call("path_filestat_set_times", first, follow, "file", 7*second, 0, 1))
		info, err = os.Stat(filepath.Join(dir, "file"))
		require.NoError(t, err)
		require.Equal(t, time.Unix(3, 0), info.ModTime().Local(), "only the time of the last access was changed")
		require.Zero(t, g.call("path_create_directory", first, "more"))
		require.Zero(t, g.call("path_rename", first, "sub/new", first, "more/old"))
		require.Equal(t, errNotEmpty, g.call("path_remove_directory", first, "more"))
		require.Equal(t, errNotDir, g.call("path_remove_directory", first, "file"))
		require.Equal(t, errIsDir, g.call("path_unlink_file", first, "more"))
		require.Zero(t, g.call("path_unlink_file", first, "more/old"))
		require.Zero(t, g.call("path_remove_directory", first, "more"))
		require.NoDirExists(t, filepath.Join(dir, "more"))
		_, errno := g.openAt(first, follow, "missing", 0, toRead, 0)
		require.Equal(t, errNoEntry, errno)
		fd = g.open("sub", directoryOnly, toRead, 0)
		require.NotZero(t, g.write(fd, "x"))
		g.close(fd)
		require.Zero(t, g.m.current.Load().openFiles.Load()-1, "all are closed, but the directory itself")
	})
}

func TestListingADirectory(t *testing.T) {
	t.Parallel()
	dir, _ := files(t)
	g := newGuest(t, Config{Directories: []Directory{{Guest: "/", Host: dir}}})
	list := func() string {
		require.Zero(t, g.call("fd_readdir", first, guestBuffer, 1000, 0, guestResult))
		return g.content(g.word())
	}
	found := list()
	require.Contains(t, found, "file")
	require.Contains(t, found, "sub")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "another"), nil, 0o600))
	require.Contains(t, list(), "another", "it is read again from the beginning")
	fd := g.open("sub", directoryOnly, toRead, 0)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub/inner"), nil, 0o600))
	require.Zero(t, g.call("fd_readdir", fd, guestBuffer, 1000, 0, guestResult))
	require.Contains(t, g.content(g.word()), "inner")
	fd, errno := g.openAt(fd, follow, "inner", 0, toRead, 0)
	require.Zero(t, errno, "relative to an open folder")
	g.close(fd)

	here := g.open(".", directoryOnly, toRead, 0)
	for _, path := range []string{"file", "sub/inner", "sub", "."} {
		fd, errno = g.openAt(here, follow, path, 0, toRead, 0)
		require.Zero(t, errno, path)
		g.close(fd)
		require.Zero(t, g.call("path_filestat_get", here, follow, path, guestBuffer), path)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	dir, outside := files(t)
	g := newGuest(t, Config{Directories: []Directory{{Guest: "/data", Host: dir}, {Guest: "/out", Host: outside, Writable: true}}})
	fd := g.open("file", 0, toRead, 0)
	require.Equal(t, "content", g.read(fd))
	require.NotZero(t, g.write(fd, "x"))
	require.NotZero(t, g.call("fd_filestat_set_size", fd, 0))
	require.Equal(t, errReadOnly, g.call("fd_filestat_set_times", fd, second, second, 1|4))
	for _, how := range [][3]int{{0, toWrite, 0}, {0, toRead | toWrite, 0}, {create, toRead, 0}, {truncate, toRead, 0}, {0, toRead, appending}} {
		_, errno := g.openAt(first, follow, "file", how[0], how[1], how[2])
		require.Equal(t, errReadOnly, errno, "%v", how)
	}
	require.Equal(t, errReadOnly, g.call("path_create_directory", first, "new"))
	require.Equal(t, errReadOnly, g.call("path_remove_directory", first, "sub"))
	require.Equal(t, errReadOnly, g.call("path_unlink_file", first, "file"))
	require.Equal(t, errReadOnly, g.call("path_rename", first, "file", first, "other"))
	require.NotZero(t, g.call("path_rename", first, "file", first+1, "file"))
	require.NotZero(t, g.call("path_rename", first+1, "secret", first, "secret"))
	require.Equal(t, errReadOnly, g.call("path_filestat_set_times", first, follow, "file", second, second, 1|4))
	require.Zero(t, g.call("path_create_directory", first+1, "new"), "the other one is writable")
	require.Equal(t, "content", contentOf(t, dir, "file"))
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, all, 2)
	info, err := os.Stat(filepath.Join(dir, "file"))
	require.NoError(t, err)
	require.Greater(t, info.ModTime().Unix(), int64(1))
}

// No path leads out of a directory.
func TestNothingOutsideOfADirectory(t *testing.T) {
	t.Parallel()
	dir, outside := files(t)
	for link, to := range map[string]string{
		"relative": "../outside/secret", "absolute": filepath.Join(outside, "secret"), "folder": "../outside", "up": "..",
		"root": "/", "missing": "../outside/new", "inner": "sub/../file", "through": "folder/secret",
	} {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, link)))
	}
	require.NoError(t, os.Symlink("../../outside", filepath.Join(dir, "sub/out")))
	g := newGuest(t, Config{Directories: []Directory{{Guest: "/data", Host: dir, Writable: true}}})
	sub := g.open("sub", directoryOnly, toRead, 0)
	for _, path := range []string{
		"..", "../outside/secret", "//etc/passwd", "sub/../../outside/secret", "./../outside/secret", "/etc/passwd", filepath.Join(outside, "secret"),
		"relative", "absolute", "folder/secret", "folder", "up/outside/secret", "root/etc/passwd", "missing", "through", "sub/out/secret",
	} {
		for _, rights := range []int{toRead, toRead | toWrite} {
			_, errno := g.openAt(first, follow, path, 0, rights, 0)
			require.NotZero(t, errno, path)
			_, errno = g.openAt(first, follow, path, create, rights, 0)
			require.NotZero(t, errno, path)
		}
		if path != "relative" && path != "absolute" && path != "folder" && path != "missing" && path != "through" { // links can be renamed and removed
			require.NotZero(t, g.call("path_unlink_file", first, path), path)
			require.NotZero(t, g.call("path_rename", first, path, first, "mine"), path)
			require.NotZero(t, g.call("path_rename", first, "file", first, path), path)
			require.NotZero(t, g.call("path_create_directory", first, path+"/new"), path)
		}
		require.NotZero(t, g.call("path_filestat_set_times", first, follow, path, second, second, 1|4), path)
		require.NotZero(t, g.call("path_filestat_get", first, follow, path, guestBuffer), path)
	}
	here := g.open(".", directoryOnly, toRead, 0)
	for _, path := range []string{"../outside/secret", "../../outside/secret", "out/secret", "sub/out/secret", "folder/secret", "/etc/passwd"} {
		for _, fd := range []int{sub, here} {
			_, errno := g.openAt(fd, follow, path, 0, toRead, 0)
			require.NotZero(t, errno, path)
		}
	}
	// No links can be made.
	require.Equal(t, errNoSystem, g.call("path_symlink", "../outside", first, "mine"))
	require.Equal(t, errNoSystem, g.call("path_link", first, 0, "file", first, "mine"))
	_, errno := g.openAt(first, 0, "inner", 0, toRead, 0)
	require.Equal(t, errLoop, errno, "it must not be followed")
	fd := g.open("inner", 0, toRead, 0)
	require.Equal(t, "content", g.read(fd), "a link that stays within is followed")

	require.Equal(t, "secret", contentOf(t, outside, "secret"))
	all, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Len(t, all, 1)
}

// Without Directories a module has no access to files, and it never has access to a network.
func TestNothingThatWasNotGiven(t *testing.T) {
	t.Parallel()
	g := newGuest(t, Config{})
	for fd := range 8 {
		if fd >= first {
			require.Equal(t, errBadFile, g.call("fd_prestat_get", fd, guestResult))
			require.Equal(t, errBadFile, g.call("fd_fdstat_get", fd, guestResult))
		}
		for _, path := range []string{"/etc/passwd", "etc/passwd", "file", "."} {
			_, errno := g.openAt(fd, follow, path, 0, toRead, 0)
			require.NotZero(t, errno)
		}
		require.NotZero(t, g.call("sock_accept", fd, 0, guestResult))
		require.NotZero(t, g.call("sock_recv", fd, guestVector, 0, 0, guestResult, guestResult))
		require.NotZero(t, g.call("sock_send", fd, guestVector, 0, 0, guestResult))
		require.NotZero(t, g.call("sock_shutdown", fd, 0))
		require.Equal(t, errNoSupport, g.call("fd_renumber", fd, 1<<31-1), "a table of that size")
	}
}

// The number of open files is bounded, and opening does not block.
func TestOpeningIsBounded(t *testing.T) {
	t.Parallel()
	dir, _ := files(t)
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	g := newGuest(t, Config{Directories: []Directory{{Guest: "/data", Host: dir, Writable: true}}})
	for _, rights := range []int{toRead, toRead | toWrite} {
		_, errno := g.openAt(first, follow, "pipe", 0, rights, 0)
		require.Equal(t, errAccess, errno)
	}
	fd := 0
	for range maxOpenFiles - 1 { // and the directory
		fd = g.open("file", 0, toRead, 0)
	}
	for range 2 {
		_, errno := g.openAt(first, follow, "file", 0, toRead, 0)
		require.Equal(t, errAgain, errno)
	}
	g.close(fd)
	_, errno := g.openAt(first, follow, "missing", 0, toRead, 0)
	require.Equal(t, errNoEntry, errno)
	g.open("file", 0, toRead, 0)
}

// One system call can name millions of buffers. It has to end with its call.
func TestTimeLimitEndsASystemCall(t *testing.T) {
	t.Parallel()
	dir, _ := files(t)
	g := newGuest(t, Config{TimeLimit: 20 * time.Millisecond, Directories: []Directory{{Guest: "/data", Host: dir, Writable: true}}})
	const buffers = 1_000_000 / 4
	fd := g.open("file", create|truncate, toWrite, 0)
	vector := strings.Repeat("\x08\x00\x00\x00\x01\x00\x00\x00", buffers) // a byte at 8
	require.True(t, g.m.current.Load().memory.WriteString(guestStrings+4096, vector))
	_, err := g.try("fd_write", fd, guestStrings+4096, buffers, guestResult)
	require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
	require.Less(t, len(contentOf(t, dir, "file")), buffers)
}
