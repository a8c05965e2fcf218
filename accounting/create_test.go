package accounting

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Files come to be where they can have no name before, and where they have to have one;
// nothing else remains.
func TestCreateWhole(t *testing.T) { // not parallel: it changes a variable
	unnamed := openUnnamed
	defer func() { openUnnamed = unnamed }()
	for _, open := range []func(string) (int, error){
		unnamed,
		func(string) (int, error) { return -1, unix.EOPNOTSUPP },
		func(string) (int, error) { return -1, unix.EISDIR },
	} {
		openUnnamed = open
		dir := t.TempDir()
		path := filepath.Join(dir, "a")
		for _, durable := range []bool{false, true} {
			f, err := createWhole(path, []byte("text"), durable)
			require.NoError(t, err)
			must(f.WriteAt([]byte("T"), 0))
			text := make([]byte, 4)
			must(f.ReadAt(text, 0))
			require.Equal(t, "Text", string(text))
			require.NoError(t, f.Close())
			_, err = createWhole(path, []byte("other"), durable)
			require.ErrorIs(t, err, fs.ErrExist)
			require.Len(t, must(os.ReadDir(dir)), 1)
			require.NoError(t, os.Remove(path))
		}
	}
	_, err := createWhole(filepath.Join(t.TempDir(), "not/there"), nil, true)
	require.ErrorIs(t, err, fs.ErrNotExist)
}
