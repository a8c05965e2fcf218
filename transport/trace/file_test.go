package trace_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

// TestFileOfAnother: one device at a time has a file, and what another one has
// written there is untouched.
func TestFileOfAnother(t *testing.T) {
	t.Parallel()
	for content, by := range map[string]string{
		"":                                    "another process",
		"# 0 records, 0 older ones dropped\n": "another process",
		"# being written by process 4711\n":   "another process (pid 4711)",
		fmt.Sprintf("# being written by process %d\n", os.Getpid()): "another device of this process",
	} {
		path := filepath.Join(t.TempDir(), "shm.trace")
		other, err := os.Create(path)
		require.NoError(t, err)
		_, err = other.WriteString(content)
		require.NoError(t, err)
		require.NoError(t, unix.Flock(int(other.Fd()), unix.LOCK_EX))
		synctest.Test(t, func(t *testing.T) { // the lock is waited for a while
			_, err = transport.Open("trace+loopback:?file=" + path)
		})
		require.ErrorContains(t, err, fmt.Sprintf("trace: %s is being written by %s; give each its own, as in file=%s",
			path, by, filepath.Join(filepath.Dir(path), "shm-{pid}.trace")))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(text))
		require.NoError(t, other.Close())

		dev, err := transport.Open("trace+loopback:?file=" + path)
		require.NoError(t, err)
		text, err = os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("# being written by process %d\n", os.Getpid()), string(text))
		require.NoError(t, dev.Close())
		text, err = os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "# 0 records, 0 older ones dropped\n# time_ns conn event op id bytes status\n", string(text))
	}
}

func TestFileOfTwoDevices(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "trace")
	first, err := transport.Open("trace+loopback:?file=" + path)
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		_, err = transport.Open("trace+loopback:?file=" + path)
	})
	require.ErrorContains(t, err, "is being written by another device of this process; give each its own, as in file="+path+"-{pid}")
	require.NoError(t, first.Close())
	second, err := transport.Open("trace+loopback:?file=" + path)
	require.NoError(t, err, "it is free again")
	require.NoError(t, second.Close())
}

func TestFileOfEachProcess(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	dev, err := transport.Open("trace+loopback:?file=" + filepath.Join(folder, "{pid}.trace"))
	require.NoError(t, err)
	require.NoError(t, dev.Close())
	require.FileExists(t, filepath.Join(folder, fmt.Sprint(os.Getpid())+".trace"))
}
