//go:build cgo && linux && (amd64 || arm64)

package native_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/invoke"
	rt "github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/invoke/runtime/native"
)

var _ rt.Module = (*native.Module)(nil)

// onOneThread locks the test to its thread.
func onOneThread(t *testing.T) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
}

// mapped is memory like that of a slot.
func mapped(t testing.TB, size int) []byte {
	t.Helper()
	mem, free, err := pages.Map(size)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, free()) })
	return mem
}

func TestCall(t *testing.T) {
	t.Parallel()
	echo := function(t, open(t, build(t, "functions.c"), native.Config{}), "echo")
	for _, size := range []int{0, 1, 64, 4095, 4096, 1 << 20, 1<<20 + 1, 5 << 20} {
		in, out := mapped(t, size+1)[:size], mapped(t, size+1)
		for i := range in {
			in[i] = byte(i * 7)
		}
		n, err := echo(t.Context(), in, out)
		require.NoError(t, err, size)
		require.Equal(t, size, n)
		require.True(t, bytes.Equal(in, out[:n]), size)
		require.Zero(t, out[size], "written past the result")
	}
}

// For a result that does not fit its length is returned, and nothing is written.
func TestResultTooLarge(t *testing.T) {
	t.Parallel()
	fill := function(t, open(t, build(t, "functions.c"), native.Config{ResultBytes: 8192}), "fill")
	for _, c := range []struct{ writes, returns uint32 }{{65, 65}, {8192, 8192}, {0, math.MaxUint32}} {
		in, out := mapped(t, 8), bytes.Repeat([]byte{'-'}, 100)
		binary.NativeEndian.PutUint32(in, c.writes)
		binary.NativeEndian.PutUint32(in[4:], c.returns)
		n, err := fill(t.Context(), in, out[:64])
		require.NoError(t, err)
		require.Equal(t, int(c.returns), n)
		require.Equal(t, strings.Repeat("-", 100), string(out))
	}
	// The module's own memory has room for more than is returned, and only that is copied.
	in, out := mapped(t, 8), mapped(t, 100)
	binary.NativeEndian.PutUint32(in, 8192)
	binary.NativeEndian.PutUint32(in[4:], 10)
	n, err := fill(t.Context(), in, out)
	require.NoError(t, err)
	require.Equal(t, "xxxxxxxxxx\x00", string(out[:n+1]))
}

// From DirectBytes on, the function gets the output itself.
func TestDirect(t *testing.T) {
	t.Parallel()
	where := function(t, open(t, build(t, "functions.c"), native.Config{DirectBytes: 64}), "where")
	for _, size := range []int{63, 64, 65} {
		out := mapped(t, size)
		n, err := where(t.Context(), nil, out)
		require.NoError(t, err)
		require.Equal(t, size >= 64, binary.NativeEndian.Uint64(out[:n]) == pages.Address(out), size)
	}
}

func TestStack(t *testing.T) {
	t.Parallel()
	path := build(t, "functions.c")
	for _, c := range []struct{ config, used int }{{0, 7}, {64 << 20, 63}} {
		use := function(t, open(t, path, native.Config{StackBytes: c.config}), "use_stack")
		in, out := mapped(t, 4), mapped(t, 8)
		binary.NativeEndian.PutUint32(in, uint32(c.used))
		n, err := use(t.Context(), in, out)
		require.NoError(t, err)
		require.Equal(t, make([]byte, 8), out[:n], "alignment")
	}
}

func TestResultIsAligned(t *testing.T) {
	t.Parallel()
	where := function(t, open(t, build(t, "functions.c"), native.Config{ResultBytes: 1}), "where")
	for _, capacity := range []int{16, 17, 5000} {
		out := make([]byte, capacity)
		_, err := where(t.Context(), nil, out)
		require.NoError(t, err)
		require.Zero(t, binary.NativeEndian.Uint64(out)%16)
	}
}

// Inaccessible memory surrounds results and stack.
func TestGuards(t *testing.T) {
	t.Parallel()
	out := make([]byte, 16)
	_, err := function(t, open(t, build(t, "functions.c"), native.Config{}), "where")(t.Context(), nil, out)
	require.NoError(t, err)
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	for i, what := range []string{"result", "stack"} {
		address := binary.NativeEndian.Uint64(out[8*i:])
		var below, own, above mapping
		for line := range strings.Lines(string(maps)) {
			var m mapping
			_, err := fmt.Sscanf(line, "%x-%x %s", &m.start, &m.end, &m.access)
			require.NoError(t, err)
			switch {
			case m.end <= address:
				below = m
			case m.start <= address:
				own = m
			case above.end == 0:
				above = m
			}
		}
		require.Equal(t, "rw-p", own.access, what)
		for _, guard := range []mapping{below, above} {
			require.Equal(t, "---p", guard.access, what)
			require.GreaterOrEqual(t, guard.end-guard.start, uint64(64<<20), what)
		}
		require.Equal(t, own.start, below.end, what)
		require.Equal(t, own.end, above.start, what)
	}
}

// mapping is a line of /proc/self/maps.
type mapping struct {
	start, end uint64
	access     string
}

// A thread can end after it has run functions.
func TestThreadEnds(t *testing.T) {
	t.Parallel()
	noop := function(t, open(t, build(t, "functions.c"), native.Config{}), "noop")
	run := func() int {
		thread := make(chan int)
		go func() {
			runtime.LockOSThread() // and the thread ends with the goroutine
			if _, err := noop(t.Context(), nil, nil); err != nil {
				t.Error(err)
			}
			thread <- unix.Gettid()
		}()
		return <-thread
	}
	tid := run()
	for tid == os.Getpid() { // Go parks the first thread for good instead
		tid = run()
	}
	task := fmt.Sprintf("/proc/self/task/%d", tid)
	require.Eventually(t, func() bool {
		_, err := os.Stat(task)
		return os.IsNotExist(err)
	}, 30*time.Second, time.Millisecond)
}

func TestFloatingPointModes(t *testing.T) {
	onOneThread(t)
	m := open(t, build(t, "functions.c"), native.Config{})
	spoil := function(t, m, "spoil_float")
	third, tiny := func(x float64) float64 { return 2 / x }(3), math.SmallestNonzeroFloat64
	modes := func() (s string) {
		if runtime.GOARCH == "amd64" { // Go does not use the x87 modes, C does
			out := make([]byte, 8)
			_, err := function(t, m, "float_modes")(t.Context(), nil, out)
			require.NoError(t, err)
			s = fmt.Sprintf("%x", out)
		}
		x, y := 3.0, tiny
		return fmt.Sprint(s, 2/x == third, y*2 != 0)
	}
	before := modes()
	require.Contains(t, before, "true true")
	_, err := spoil(t.Context(), nil, nil)
	require.NoError(t, err)
	require.Equal(t, before, modes())
	open(t, build(t, "constructor.c", "-DFLOAT"), native.Config{})
	require.Equal(t, before, modes())
}

func TestFunctionsThatDoMore(t *testing.T) {
	t.Parallel()
	m := open(t, build(t, "functions.c"), native.Config{})
	out := make([]byte, 64)
	n, err := function(t, m, "indirect")(t.Context(), nil, out)
	require.NoError(t, err)
	require.Equal(t, "chosen", string(out[:n]))
	_, err = function(t, m, "thread")(t.Context(), nil, out)
	require.NoError(t, err)
	n, err = function(t, open(t, build(t, "throws.cpp"), native.Config{}), "caught")(t.Context(), nil, out)
	require.NoError(t, err)
	require.Equal(t, uint32(42), binary.NativeEndian.Uint32(out[:n]))
}

func TestOutputOfAFunction(t *testing.T) {
	t.Parallel()
	stdout, stderr, status := run(t, build(t, "functions.c"), "say")
	require.Equal(t, 103, status.ExitStatus(), stderr)
	require.Regexp(t, "(?s)^opened\nsaid .*\nreturned say 0 <nil>\n$", stdout)
	require.Empty(t, stderr)
}

// A module runs one call at a time, and is not closed under one.
func TestOneCallAtATime(t *testing.T) {
	t.Parallel()
	m := open(t, build(t, "functions.c"), native.Config{})
	wait, noop := function(t, m, "wait_for_it"), function(t, m, "noop")
	in := mapped(t, 8)
	word := pages.Word(in)
	done := make(chan error)
	go func() {
		_, err := wait(t.Context(), in, nil)
		done <- err
	}()
	for word.Load() == 0 {
		runtime.Gosched()
	}
	_, err := noop(t.Context(), nil, nil)
	require.ErrorIs(t, err, invoke.ErrBusy)
	require.ErrorContains(t, err, "one call at a time")
	_, err = m.Function("noop")
	require.ErrorIs(t, err, invoke.ErrBusy)
	require.ErrorIs(t, m.Close(), invoke.ErrBusy)
	word.Store(^uint64(0))
	require.NoError(t, <-done)
	_, err = noop(t.Context(), nil, nil)
	require.NoError(t, err)
}

func TestClosed(t *testing.T) {
	t.Parallel()
	m, err := native.Open(build(t, "functions.c"), native.Config{})
	require.NoError(t, err)
	noop := function(t, m, "noop")
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	_, err = noop(t.Context(), nil, nil)
	require.ErrorContains(t, err, "is closed")
	_, err = m.Function("noop")
	require.ErrorContains(t, err, "is closed")
}

// Modules of one file share its variables, those of copies do not.
func TestGlobalVariables(t *testing.T) {
	t.Parallel()
	path := copied(t, build(t, "functions.c"))
	calls := func(m *native.Module) uint32 {
		out := make([]byte, 4)
		_, err := function(t, m, "count")(t.Context(), nil, out)
		require.NoError(t, err)
		return binary.NativeEndian.Uint32(out)
	}
	a, b, c := open(t, path, native.Config{}), open(t, path, native.Config{}), open(t, copied(t, path), native.Config{})
	require.Equal(t, []uint32{1, 2, 1}, []uint32{calls(a), calls(b), calls(c)})
}

// copied is a copy of a file under another name.
func copied(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "copy.so")
	require.NoError(t, os.WriteFile(path, data, 0o755))
	return path
}

// memory is a file without a name, with the contents of another one.
func memory(t *testing.T, path string) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("object", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	m := os.NewFile(uintptr(fd), "object")
	_, err = io.Copy(m, f)
	require.NoError(t, err)
	return m
}

// OpenFile loads the open file, even if its descriptor's number was that of another object
// before, which the loader may still have (nodelete).
func TestOpenFile(t *testing.T) {
	for _, flag := range []string{"-O1", "-Wl,-z,nodelete"} {
		for i := range 3 {
			answer := fmt.Sprintf("-DANSWER=%d", 2+i)
			f := memory(t, build(t, "functions.c", answer, flag))
			m, err := native.OpenFile(f, native.Config{})
			require.NoError(t, err)
			require.NoError(t, f.Close(), "the caller's own")
			out := make([]byte, 4)
			_, err = function(t, m, "answer")(t.Context(), nil, out)
			require.NoError(t, err)
			require.Equal(t, uint32(2+i), binary.NativeEndian.Uint32(out), flag)
			_, err = m.Function("another")
			require.ErrorContains(t, err, "there are: answer, count")
			require.NoError(t, m.Close())
		}
	}
}

func TestNothingIsLeft(t *testing.T) {
	path := build(t, "functions.c", "-DANSWER=9")
	in, out := mapped(t, 1), mapped(t, 2<<20)
	cycle := func() {
		f, err := os.Open(path)
		require.NoError(t, err)
		defer f.Close()
		for _, open := range []func() (*native.Module, error){
			func() (*native.Module, error) { return native.Open(path, native.Config{}) },
			func() (*native.Module, error) { return native.OpenFile(f, native.Config{}) },
		} {
			m, err := open()
			require.NoError(t, err)
			_, err = function(t, m, "echo")(t.Context(), in, out)
			require.NoError(t, err)
			require.NoError(t, m.Close())
		}
	}
	for range 10 {
		cycle()
	}
	maps, descriptors := count(t, "/proc/self/maps"), count(t, "/proc/self/fd")
	for range 500 {
		cycle()
	}
	require.Less(t, count(t, "/proc/self/maps"), maps+100, "Go's heap may have grown")
	require.LessOrEqual(t, count(t, "/proc/self/fd"), descriptors+2)
	mappings, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	require.NotContains(t, string(mappings), filepath.Base(path))
}

// count is the number of lines of a file, or entries of a folder.
func count(t *testing.T, path string) int {
	t.Helper()
	if entries, err := os.ReadDir(path); err == nil {
		return len(entries)
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return bytes.Count(data, []byte("\n"))
}

func TestNoSuchFunction(t *testing.T) {
	t.Parallel()
	m := open(t, build(t, "functions.c"), native.Config{})
	for entry, says := range map[string]string{
		"nope":   `functions.c has no function "nope"; there are: answer, count, echo, fill`,
		"":       "there are: answer",
		"data":   "there are: answer",
		"chosen": "there are: answer", // static
		"memcpy": "there are: answer", // of another library
	} {
		_, err := m.Function(entry)
		require.ErrorContains(t, err, strings.TrimPrefix(says, "functions.c "), entry)
	}
	_, err := open(t, build(t, "throws.cpp"), native.Config{}).Function("mangled")
	require.ErrorContains(t, err, `_Z7mangledPvjS_, which looks like its name in C++ or Rust: declare it extern "C"`)
	_, err = open(t, build(t, "functions.c", "-fvisibility=hidden"), native.Config{}).Function("echo")
	require.ErrorContains(t, err, "it has none at all")
}

// bare is an object without section headers.
func bare(object []byte) []byte {
	object = bytes.Clone(object)
	copy(object[40:48], make([]byte, 8)) // e_shoff
	copy(object[58:64], make([]byte, 6)) // e_shentsize, e_shnum, e_shstrndx
	return object
}

// An object without section headers can be loaded.
func TestNoSections(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(build(t, "functions.c"))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "bare.so")
	require.NoError(t, os.WriteFile(path, bare(data), 0o755))
	m := open(t, path, native.Config{})
	_, err = function(t, m, "noop")(t.Context(), nil, nil)
	require.NoError(t, err)
	_, err = m.Function("nope")
	require.ErrorContains(t, err, `has no function "nope"`)
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	good := build(t, "functions.c")
	data, err := os.ReadFile(good)
	require.NoError(t, err)
	write := func(name string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, data, 0o755))
		return path
	}
	patched := func(at int, b ...byte) string {
		other := bytes.Clone(data)
		copy(other[at:], b)
		return write("patched.so", other)
	}
	swapped := func() []byte { // aarch64_be, for instance
		b := bytes.Clone(data[5:20])
		b[0], b[11], b[12], b[13], b[14] = 2, b[12], b[11], b[14], b[13]
		return b
	}
	needs := func() string {
		folder := t.TempDir()
		library := filepath.Join(folder, "libgone.so")
		out, err := exec.Command(compiler(t, "cc", "gcc", "clang"), "-shared", "-fPIC", "-o", library, good).CombinedOutput()
		require.NoError(t, err, string(out))
		path := build(t, "undefined.c", "-L"+folder, "-Wl,--no-as-needed", "-lgone")
		require.NoError(t, os.Remove(library))
		return path
	}
	for name, c := range map[string]struct {
		path   string
		config native.Config
		says   []string
	}{
		"no file":       {filepath.Join(t.TempDir(), "none.so"), native.Config{}, []string{"none.so: no such file"}},
		"empty":         {write("empty.so", nil), native.Config{}, []string{"not an ELF file"}},
		"script":        {write("script.so", []byte("#!/bin/sh\nexit 0 # and so on\n")), native.Config{}, []string{`not an ELF file, it begins with "#!/b"`, "gcc -shared"}},
		"head only":     {write("head.so", data[:64]), native.Config{}, []string{"damaged or cut off"}},
		"cut off":       {write("cut.so", data[:len(data)/3]), native.Config{}, []string{"damaged or cut off"}},
		"bare, cut off": {write("cut.so", bare(data)[:len(data)/3]), native.Config{}, []string{fmt.Sprintf("cut off: it has %d bytes, and a segment", len(data)/3)}},
		"other machine": {patched(18, 8, 0), native.Config{}, []string{"another machine (EM_MIPS", runtime.GOARCH}},
		"32 bits":       {patched(4, 1), native.Config{}, []string{"another machine", "ELFCLASS32"}},
		"big-endian":    {patched(5, swapped()...), native.Config{}, []string{"another machine", "ELFDATA2MSB"}},
		"program":       {patched(16, 2, 0), native.Config{}, []string{"no shared object (ET_EXEC)"}},
		"undefined":     {build(t, "undefined.c"), native.Config{}, []string{"undefined symbol: nobody_defines_this", "link the library"}},
		"undefined C++": {build(t, "undefined_cxx.c"), native.Config{}, []string{"undefined symbol: _ZN6nobody12defines_thisEv", "build it with g++"}},
		"library gone":  {needs(), native.Config{}, []string{"libgone.so", "cannot open shared object file", "ldd"}},
		"small stack":   {good, native.Config{StackBytes: 1}, []string{"a stack of 1 bytes"}},
		"no result":     {good, native.Config{ResultBytes: -1}, []string{"results of up to -1 bytes"}},
		"no output":     {good, native.Config{DirectBytes: -1}, []string{"from -1 bytes on"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := native.Open(c.path, c.config)
			require.Error(t, err)
			require.Nil(t, m)
			for _, says := range c.says {
				require.ErrorContains(t, err, says)
			}
		})
	}
}
