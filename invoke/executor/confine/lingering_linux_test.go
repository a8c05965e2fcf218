//go:build amd64 || arm64

package confine

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const lingeringBytes = 32 << 20

// fillMemory writes to a memory file that its supervisor has open, too.
func fillMemory() error {
	must(Enter(must(Inherited())))
	mem := must(unix.Mmap(3, 0, lingeringBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED))
	for i := 0; i < len(mem); i += 4096 {
		mem[i] = 1
	}
	return waitForEnd()
}

// Memory of a process that another one holds stays in use after the process has ended, until
// it is released.
func TestLingering(t *testing.T) {
	h := newHost(t)
	needGroup(t, h, "memory")
	file := os.NewFile(uintptr(must(unix.MemfdCreate("lingering", unix.MFD_CLOEXEC))), "lingering")
	defer file.Close()
	require.NoError(t, file.Truncate(lingeringBytes))
	lingering := func() int64 { return must(h.Lingering()) }
	const little = lingeringBytes / 8 // the kernel counts in batches
	r := launch(t, h, "fill-memory", policyFor(h), file).ready(t)
	require.Less(t, lingering(), int64(little), "it belongs to a running process")
	r.in.Close()
	r.end(t)
	must(r.Close())
	require.Greater(t, lingering(), int64(lingeringBytes-little))
	require.NoError(t, file.Close())
	require.Eventually(t, func() bool { return lingering() < little }, time.Minute, time.Millisecond)
	require.NoError(t, h.Close())
	require.Zero(t, lingering())
}
