//go:build cgo && linux && (amd64 || arm64)

package native_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pages"
)

// overrunWord is the first word of a file, nil without one.
func overrunWord(path string) *atomic.Uint64 {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return pages.Word(mem)
}

// A function that goes past the memory for its result is told from one that crashes
// elsewhere, by the length of its output.
func TestOverrun(t *testing.T) {
	t.Parallel()
	crashes := build(t, "crashes.c")
	const out = 64 // what the child's calls have
	for steps, want := range map[string]uint64{
		"write_on": out, "write_behind": out, "write_far": out,
		"write_before": 0, "null_read": 0, "overflow": 0, "give_up": 0, "thread_null": 0,
	} {
		t.Run(steps, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "word")
			require.NoError(t, os.WriteFile(path, make([]byte, 8), 0o600))
			_, stderr, status := run(t, crashes, steps, childOverrun+"="+path)
			require.True(t, status.Signaled(), stderr)
			word, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, want, binary.NativeEndian.Uint64(word))
		})
	}
}
