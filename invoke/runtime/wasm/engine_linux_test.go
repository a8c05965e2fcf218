package wasm

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// If executable memory is forbidden, modules are interpreted, and compiled code in the cache
// is left to other processes.
func TestWithoutExecutableMemory(t *testing.T) {
	const cacheVariable = "RFAAS_TEST_WASM_CACHE"
	code := entries(entry("echo", echo))
	if root := os.Getenv(cacheVariable); root != "" {
		compiled, err := Compile(t.Context(), code, Config{})
		require.NoError(t, err)
		require.NotEmpty(t, compiled)
		require.NoError(t, unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		for _, config := range []Config{{}, {CacheDir: root}, {CacheDir: t.TempDir()}, {Compiled: compiled}} {
			m := load(t, code, config)
			require.True(t, m.interpreted)
			afterwards(t, m)
		}
		compiled, err = Compile(t.Context(), code, Config{})
		require.NoError(t, err)
		require.Empty(t, compiled)
		return
	}
	if _, err := unix.PrctlRetInt(unix.PR_GET_MDWE, 0, 0, 0, 0); err != nil {
		t.Skipf("the kernel cannot forbid executable memory (Linux 6.3 can): %v", err)
	}
	c := newCached(t, code)
	c.use()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWithoutExecutableMemory$")
	command.Env = append(os.Environ(), cacheVariable+"="+c.root)
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.True(t, c.unchanged())
}
