package filelock

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A lock is waited for as long as a process may need to end, and not longer.
func TestTake(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		require.NoError(t, err)
		return f
	}
	synctest.Test(t, func(t *testing.T) {
		first, second := open(), open()
		defer second.Close()
		require.NoError(t, Take(first))
		begun := time.Now()
		require.ErrorIs(t, Take(second), ErrTaken)
		require.Greater(t, time.Since(begun), patience)
		begun = time.Now()
		time.AfterFunc(patience/2, func() { first.Close() })
		require.NoError(t, Take(second))
		require.GreaterOrEqual(t, time.Since(begun), patience/2)
	})
}
