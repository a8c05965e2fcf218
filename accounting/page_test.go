package accounting

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/names"
)

var testHeader = PageHeader{Epoch: 0x1122, Lease: 0x3344, Worker: 0x55, Tenant: "alice"}

func mustCreatePage(t testing.TB, folder string, h PageHeader) *PageFile {
	f := must(CreatePage(folder, h))
	t.Cleanup(func() { f.Close() })
	return f
}

func mustMapPage(t testing.TB, file *os.File) *Page {
	p := must(MapPage(file))
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// The bytes of a page, written down independently of the encoder.
func TestPageLayout(t *testing.T) {
	t.Parallel()
	f := mustCreatePage(t, t.TempDir(), testHeader)
	p := mustMapPage(t, f.File())
	for q := range Quantity(Quantities) {
		p.Store(q, uint64(q)+1)
	}
	b := must(os.ReadFile(f.Path()))
	require.Len(t, b, 4096)
	require.Equal(t, "7266616173706167"+"01000000"+"55000000"+"2211000000000000"+"4433000000000000"+
		hex.EncodeToString([]byte("alice"))+strings.Repeat("00", 59+32), hex.EncodeToString(b[:128]))
	for q := range Quantities {
		require.EqualValues(t, q+1, binary.NativeEndian.Uint64(b[128+8*q:]))
	}
	require.Equal(t, make([]byte, 4096-184), b[184:])
	require.Equal(t, "4386-13124-85-alice.page", filepath.Base(f.Path()))
}

func TestPageWriterAndReader(t *testing.T) {
	t.Parallel()
	f := mustCreatePage(t, t.TempDir(), testHeader)
	p := mustMapPage(t, f.File())
	require.Equal(t, testHeader, p.Header())
	p.Add(Invocations, 1)
	p.Add(Invocations, 2)
	p.Store(CoreTime, math.MaxUint64)
	want := Usage{CoreTime: math.MaxUint64, Invocations: 3}
	require.Equal(t, want, p.Usage())
	require.Equal(t, want, must(f.Usage()))

	// The next writer adds to that; so does the next life of the agent.
	again := mustMapPage(t, f.File())
	again.Add(Invocations, 1)
	opened := must(OpenPage(f.Path()))
	require.Equal(t, testHeader, opened.Header())
	require.EqualValues(t, 4, must(opened.Usage())[Invocations])
	require.NoError(t, opened.Remove())
	require.NoFileExists(t, f.Path())
}

func TestPageAddDoesNotAllocate(t *testing.T) {
	f := mustCreatePage(t, t.TempDir(), testHeader)
	p := mustMapPage(t, f.File())
	require.Zero(t, testing.AllocsPerRun(100, func() {
		p.Add(ExecutedTime, 5)
		p.Store(BytesIn, 6)
		_ = p.Usage()
	}))
	require.EqualValues(t, 5*101, p.Usage()[ExecutedTime])
}

// A reader sees words whole while they are written.
func TestPageWordsAreWhole(t *testing.T) {
	t.Parallel()
	f := mustCreatePage(t, t.TempDir(), testHeader)
	p := mustMapPage(t, f.File())
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for v := uint64(0); ; v = ^v {
			for q := range Quantity(Quantities) {
				p.Store(q, v)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for range 10_000 {
		for _, v := range must(f.Usage()) {
			require.True(t, v == 0 || v == math.MaxUint64, "torn: %x", v)
		}
	}
	close(stop)
	<-done
}

func TestCreatePageRefuses(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	f := mustCreatePage(t, folder, testHeader)
	mustMapPage(t, f.File()).Add(Invocations, 1)
	_, err := CreatePage(folder, testHeader)
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, f.Path())
	require.EqualValues(t, 1, must(f.Usage())[Invocations], "the page that was there is as it was")

	_, err = CreatePage(folder, PageHeader{Tenant: "a\nb"})
	require.ErrorContains(t, err, "tenant: the name")
	_, err = CreatePage(filepath.Join(folder, "missing"), testHeader)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Len(t, must(os.ReadDir(folder)), 1, "nothing else is left")
}

// Every allowed header is a file name, and differs from those of all others.
func TestPageNames(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	longest := PageHeader{math.MaxUint64, math.MaxUint64, math.MaxUint32, strings.Repeat("%", names.MaxBytes)}
	for _, h := range []PageHeader{longest, {Tenant: "..."}, {Tenant: ".x"}, {Tenant: "a%2Fb"}, {Tenant: "a2Fb"}} {
		f := mustCreatePage(t, folder, h)
		require.Equal(t, folder, filepath.Dir(f.Path()))
		opened := must(OpenPage(f.Path()))
		require.Equal(t, h, opened.Header())
		require.NoError(t, opened.Close())
	}
	require.Len(t, longest.name(), 250)
}

// Whatever a tenant's code does to its page, the agent gets an error, and lives.
func TestHostilePage(t *testing.T) {
	t.Parallel()
	cut := func(size int64) func(f *os.File) error {
		return func(f *os.File) error { return f.Truncate(size) }
	}
	write := func(at int64, bytes string) func(f *os.File) error {
		return func(f *os.File) error { _, err := f.WriteAt([]byte(bytes), at); return err }
	}
	for what, do := range map[string]func(f *os.File) error{
		"cut to nothing":      cut(0),
		"cut in the words":    cut(130),
		"made larger":         cut(1 << 40),
		"one byte more":       cut(PageBytes + 1),
		"another tenant":      write(pageTenantAt, "bob\x00\x00"),
		"another lease":       write(pageLeaseAt, "\x09"),
		"another epoch":       write(pageEpochAt, "\x09"),
		"another worker":      write(pageWorkerAt, "\x09"),
		"another version":     write(pageVersionAt, "\x09"),
		"another magic":       write(0, "\x09"),
		"bytes after tenant":  write(pageTenantAt+20, "\x09"),
		"bytes before words":  write(pageWordsAt-1, "\x09"),
		"bytes after words":   write(pageWordsEnd, "\x09"),
		"bytes at the end":    write(PageBytes-1, "\x09"),
		"a tenant of zeros":   write(pageTenantAt, strings.Repeat("\x00", 64)),
		"control characters":  write(pageTenantAt, "\x1b[2J"),
		"all bytes are noise": write(0, strings.Repeat("\xa5", PageBytes)),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			f := mustCreatePage(t, folder, testHeader)
			require.NoError(t, do(f.File()))
			_, err := f.Usage()
			require.ErrorIs(t, err, ErrPageDamaged)
			require.ErrorContains(t, err, f.Path())
			_, err = OpenPage(f.Path())
			require.ErrorIs(t, err, ErrPageDamaged)

			good := mustCreatePage(t, folder, PageHeader{Epoch: 1, Tenant: "good"})
			var infos []PageInfo
			var errs []error
			for info, err := range ListPages(folder) {
				infos, errs = append(infos, info), append(errs, err)
			}
			require.Equal(t, []PageInfo{{Path: good.Path(), Header: good.Header()}, {Path: f.Path()}}, infos)
			require.NoError(t, errs[0])
			require.ErrorIs(t, errs[1], ErrPageDamaged)
			require.ErrorContains(t, errs[1], f.Path())
			require.NoError(t, f.Remove())
		})
	}
}

// What is not a page's file is not waited for and not followed.
func TestOpenPageOddFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	f := mustCreatePage(t, folder, testHeader)
	path := func(name string) string { return filepath.Join(folder, name) }
	require.NoError(t, unix.Mkfifo(path("fifo.page"), 0o600))
	require.NoError(t, os.Mkdir(path("folder.page"), 0o700))
	require.NoError(t, os.Symlink(f.Path(), path("link.page")))
	require.NoError(t, os.Link(f.Path(), path("renamed.page")))
	require.NoError(t, os.WriteFile(path("other"), nil, 0o600))
	got := map[string]error{}
	for info, err := range ListPages(folder) {
		got[filepath.Base(info.Path)] = err
	}
	require.Len(t, got, 5)
	require.NoError(t, got[testHeader.name()])
	require.ErrorIs(t, got["fifo.page"], ErrPageDamaged)
	require.ErrorIs(t, got["folder.page"], ErrPageDamaged)
	require.ErrorIs(t, got["link.page"], unix.ELOOP)
	require.ErrorContains(t, got["renamed.page"], "its header is that of "+testHeader.name())

	for info := range ListPages(folder) {
		require.Equal(t, f.Path(), info.Path, "a caller may stop")
		break
	}
	for _, err := range ListPages(path("missing")) {
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
}

// Pages are removed while others are listed.
func TestListPagesRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var files []*PageFile
	for worker := range uint32(3) {
		files = append(files, mustCreatePage(t, folder, PageHeader{Worker: worker, Tenant: "alice"}))
	}
	var workers []uint32
	for info, err := range ListPages(folder) {
		require.NoError(t, err)
		workers = append(workers, info.Header.Worker)
		if len(workers) == 1 {
			require.NoError(t, files[1].Remove())
		}
	}
	require.Equal(t, []uint32{0, 2}, workers)
}

func TestMapPageRefuses(t *testing.T) {
	t.Parallel()
	f := mustCreatePage(t, t.TempDir(), testHeader)
	readOnly := must(OpenPage(f.Path()))
	defer readOnly.Close()
	_, err := MapPage(readOnly.File())
	require.ErrorIs(t, err, unix.EACCES)
	require.ErrorContains(t, err, f.Path())
	require.NoError(t, f.File().Truncate(5))
	_, err = MapPage(f.File())
	require.ErrorIs(t, err, ErrPageDamaged)
}

// Another process writes, is killed, and what it wrote is there.
func TestPageOfAnotherProcess(t *testing.T) {
	t.Parallel()
	f := mustCreatePage(t, t.TempDir(), testHeader)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asHelper+"=page")
	cmd.ExtraFiles = []*os.File{f.File()}
	cmd.Stderr = os.Stderr
	must(cmd.StdinPipe())
	out := must(cmd.StdoutPipe())
	require.NoError(t, cmd.Start())
	must(io.ReadFull(out, make([]byte, 1)))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Equal(t, Usage{Invocations: 7, BytesOut: 1 << 40}, must(f.Usage()))
}

// writePage is the other process.
func writePage() {
	p := must(MapPage(os.NewFile(3, "page")))
	p.Add(Invocations, 7)
	p.Store(BytesOut, 1<<40)
	os.Stdout.WriteString(".")
	io.Copy(io.Discard, os.Stdin) // until it is killed, or the test has ended in whatever way
}

// FuzzPage: what is accepted is what the encoder makes.
func FuzzPage(f *testing.F) {
	f.Add(testHeader.encode())
	f.Add(make([]byte, PageBytes))
	f.Add([]byte(pageMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, u, err := decodePage(b)
		if err != nil {
			require.ErrorIs(t, err, ErrPageDamaged)
			return
		}
		again := h.encode()
		for q, v := range u {
			binary.NativeEndian.PutUint64(again[pageWordsAt+8*q:], v)
		}
		require.Equal(t, b, again)
		require.LessOrEqual(t, len(h.name()), 255)
	})
}
