package pack

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMounts(t *testing.T) {
	t.Parallel()
	grants := map[string]Grant{"models": {Path: "/srv/models"}, "out": {"/srv/out", true}, "unasked": {"/srv", true}}
	mounts, err := WASI{Directories: []Directory{{"out", true}, {"models", false}}}.Mounts(grants)
	require.NoError(t, err)
	require.Equal(t, []Mount{{"/out", "/srv/out", true}, {"/models", "/srv/models", false}}, mounts)
	mounts, err = WASI{Directories: []Directory{{"out", false}}}.Mounts(grants)
	require.NoError(t, err)
	require.Equal(t, []Mount{{"/out", "/srv/out", false}}, mounts, "not more than it asks for")
	mounts, err = WASI{}.Mounts(grants)
	require.NoError(t, err)
	require.Empty(t, mounts)

	mounts, err = WASI{Directories: []Directory{{"models", true}, {"out", true}, {"home", false}}}.Mounts(grants)
	require.Empty(t, mounts, "all or nothing")
	require.ErrorContains(t, err, `"models" to write, and this node gives it to read only`)
	require.ErrorContains(t, err, `"home", which this node does not give`)
	_, err = WASI{Directories: []Directory{{"models", false}}}.Mounts(nil)
	require.ErrorContains(t, err, "does not give")
}
