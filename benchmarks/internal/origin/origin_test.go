package origin

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLook(t *testing.T) {
	t.Parallel()
	i := Look()
	require.NotEmpty(t, i.Host)
	require.NotEmpty(t, i.CPU)
	require.Regexp(t, `^Linux \d`, i.Kernel)
	require.Regexp(t, `^go1\.`, i.Go)
	require.Positive(t, i.Cores)

	require.Equal(t, "Cortex", cpuModel("processor : 0\nModel\t: Cortex\n", "arm64"))
	require.Equal(t, "EPYC 7", cpuModel("processor : 0\nmodel name\t: EPYC 7\nmodel name\t: EPYC 8\n", "amd64"))
	require.Equal(t, "arm64", cpuModel("processor : 0\n", "arm64"))

	b := &debug.BuildInfo{}
	require.Empty(t, commit(b))
	b.Settings = []debug.BuildSetting{{Key: "vcs.revision", Value: "0123"}, {Key: "vcs.modified", Value: "false"}}
	require.Equal(t, "0123", commit(b))
	b.Settings[1].Value = "true"
	require.Equal(t, "0123, with changes", commit(b))
}
