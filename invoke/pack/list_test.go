package pack

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A list has the longest unused first, also what is damaged, and is no use itself.
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
