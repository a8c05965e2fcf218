package atomicfile

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// ways are the two ways to make a file: without a name and with a temporary one.
// They share a variable, so that the tests are not parallel.
func ways(t *testing.T, test func(t *testing.T)) {
	t.Run("unnamed", test)
	t.Run("named", func(t *testing.T) {
		former := openAnonymous
		defer func() { openAnonymous = former }()
		openAnonymous = func(string) (*os.File, error) { return nil, unix.EOPNOTSUPP }
		test(t)
	})
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWrite(t *testing.T) {
	ways(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		for _, content := range []string{"", "new", strings.Repeat("longer", 1000), "replaced"} {
			require.NoError(t, Write(path, []byte(content)))
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, content, string(got))
			require.Equal(t, []string{"file"}, list(t, dir))
		}
	})
}

// The umask applies, as to files that other programs make.
func TestWriteMode(t *testing.T) {
	ways(t, func(t *testing.T) {
		former := syscall.Umask(0o027)
		defer syscall.Umask(former)
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, Write(path, nil))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o640), info.Mode())
	})
}

// A symbolic link is replaced, not followed.
func TestWriteReplacesLinks(t *testing.T) {
	ways(t, func(t *testing.T) {
		dir := t.TempDir()
		target := filepath.Join(t.TempDir(), "target")
		require.NoError(t, os.WriteFile(target, []byte("kept"), 0o666))
		path := filepath.Join(dir, "link")
		require.NoError(t, os.Symlink(target, path))
		require.NoError(t, Write(path, []byte("new")))
		kept, err := os.ReadFile(target)
		require.NoError(t, err)
		require.Equal(t, "kept", string(kept))
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.True(t, info.Mode().IsRegular())
	})
}

// What fails leaves nothing behind, and what was there stays.
func TestWriteFails(t *testing.T) {
	ways(t, func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o777))
		err := Write(filepath.Join(dir, "folder"), []byte("x"))
		require.EqualError(t, err, "write "+filepath.Join(dir, "folder")+": file exists")
		require.Equal(t, []string{"folder"}, list(t, dir))

		err = Write(filepath.Join(dir, "missing", "file"), []byte("x"))
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, filepath.Join(dir, "missing"))
		require.NotContains(t, err.Error(), TempPrefix)
	})
}

// A limit in the middle of a write, which is what a full disk looks like.
func TestWriteIsCutOff(t *testing.T) {
	ways(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		require.NoError(t, Write(path, []byte("former")))
		var former unix.Rlimit
		require.NoError(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &former))
		limit := former
		limit.Cur = 4096
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &limit))
		err := Write(path, bytes.Repeat([]byte("x"), 4097))
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &former))
		require.ErrorIs(t, err, syscall.EFBIG)
		require.EqualError(t, err, "write "+path+": file too large")
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "former", string(got))
		require.Equal(t, []string{"file"}, list(t, dir))
	})
}

// A pipe, or a device such as /dev/null, is written to, and stays what it is.
func TestWriteToPipe(t *testing.T) {
	ways(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "pipe")
		require.NoError(t, unix.Mkfifo(path, 0o600))
		link := filepath.Join(dir, "link")
		require.NoError(t, os.Symlink(path, link))
		for _, name := range []string{path, link} {
			require.NoError(t, ProbeFile(name))
			reader, err := os.OpenFile(path, os.O_RDWR, 0) // so that no end waits for the other
			require.NoError(t, err)
			require.NoError(t, Write(name, []byte("content")))
			got := make([]byte, 7)
			_, err = io.ReadFull(reader, got)
			require.NoError(t, err)
			require.Equal(t, "content", string(got))
			f, err := Create(name)
			require.NoError(t, err)
			f.Discard()
			require.NoError(t, reader.Close())
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, fs.ModeNamedPipe, info.Mode().Type())
		}
		require.Equal(t, []string{"link", "pipe"}, list(t, dir))
		require.ErrorIs(t, ProbeFile(filepath.Join(dir, "none", "file")), fs.ErrNotExist)
		require.NoError(t, ProbeFile(filepath.Join(dir, "file")))
	})
}

// What is open is written to by its name, as /dev/stdout is, after what is there.
func TestWriteToDescriptor(t *testing.T) {
	ways(t, func(t *testing.T) {
		dir := t.TempDir()
		file, err := os.Create(filepath.Join(dir, "file"))
		require.NoError(t, err)
		defer file.Close()
		_, err = file.WriteString("one, ")
		require.NoError(t, err)
		name := fmt.Sprintf("/proc/self/fd/%d", file.Fd())
		link := filepath.Join(dir, "stdout")
		require.NoError(t, os.Symlink(name, link))
		require.NoError(t, ProbeFile(link))
		require.NoError(t, Write(link, []byte("two, ")))
		require.NoError(t, Write(name, []byte("three")))
		_, err = file.WriteString(", four")
		require.NoError(t, err)
		text, err := os.ReadFile(file.Name())
		require.NoError(t, err)
		require.Equal(t, "one, two, three, four", string(text))
		require.Equal(t, []string{"file", "stdout"}, list(t, dir))
	})
}

func TestProbe(t *testing.T) {
	ways(t, func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, Probe(dir))
		require.Empty(t, list(t, dir))
		require.ErrorIs(t, Probe(filepath.Join(dir, "missing")), fs.ErrNotExist)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o666))
		require.ErrorIs(t, Probe(filepath.Join(dir, "file")), syscall.ENOTDIR)
	})
}

// A file has its name from Commit on, and then all of what was written.
func TestFile(t *testing.T) {
	ways(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		for _, former := range []string{"", "one, two"} {
			f, err := Create(path)
			require.NoError(t, err)
			for _, piece := range []string{"one", ", ", "two"} {
				n, err := f.Write([]byte(piece))
				require.NoError(t, err)
				require.Equal(t, len(piece), n)
			}
			got, _ := os.ReadFile(path)
			require.Equal(t, former, string(got))
			require.NoError(t, f.Commit())
			got, err = os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, "one, two", string(got))
			require.Equal(t, []string{"file"}, list(t, dir))
		}
	})
}

func TestFileDiscard(t *testing.T) {
	ways(t, func(t *testing.T) {
		dir := t.TempDir()
		f, err := Create(filepath.Join(dir, "file"))
		require.NoError(t, err)
		f.Write([]byte("not kept"))
		f.Discard()
		require.Empty(t, list(t, dir))
	})
}
