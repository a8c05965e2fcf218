package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

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

// What fails leaves nothing behind, and errors name the path that was asked for.
func TestFileFails(t *testing.T) {
	ways(t, func(t *testing.T) {
		_, err := Create(filepath.Join(t.TempDir(), "missing", "file"))
		require.ErrorIs(t, err, fs.ErrNotExist)

		dir := t.TempDir()
		path := filepath.Join(dir, "folder")
		f, err := Create(path)
		require.NoError(t, err)
		require.NoError(t, os.Mkdir(path, 0o777)) // in the meantime
		require.EqualError(t, f.Commit(), "write "+path+": file exists")
		require.Equal(t, []string{"folder"}, list(t, dir))

		f, err = Create(filepath.Join(dir, "file"))
		require.NoError(t, err)
		var former unix.Rlimit
		require.NoError(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &former))
		limit := former
		limit.Cur = 4096
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &limit))
		n, err := f.Write(make([]byte, 4097))
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &former))
		require.Equal(t, 4096, n)
		require.ErrorIs(t, err, syscall.EFBIG)
		require.EqualError(t, err, "write "+filepath.Join(dir, "file")+": file too large")
		f.Discard()
		require.Equal(t, []string{"folder"}, list(t, dir))
	})
}
