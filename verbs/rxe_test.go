package verbs_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// withoutDoorbells calls f while what is written to devices goes nowhere: what f
// posts is in the queues, and the kernel does not know.
func withoutDoorbells(t *testing.T, f func()) {
	t.Helper()
	nowhere, err := unix.Open(os.DevNull, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(nowhere)
	links, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	muted := 0
	for _, link := range links {
		if to, _ := os.Readlink(link); !strings.HasPrefix(to, "/dev/infiniband/uverbs") {
			continue
		}
		fd, err := strconv.Atoi(filepath.Base(link))
		require.NoError(t, err)
		kept, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		defer unix.Close(kept)
		require.NoError(t, unix.Dup3(nowhere, fd, unix.O_CLOEXEC))
		defer unix.Dup3(kept, fd, unix.O_CLOEXEC)
		muted++
	}
	require.NotZero(t, muted)
	f()
}

// rxe, which has missed that there is something to send, is told again.
func TestRequesterIsWoken(t *testing.T) { // not parallel: all devices of the process are muted
	a, b := pairtest.New(t, device(t))
	from, to := a.Alloc(64, transport.LocalOnly), b.Alloc(64, transport.RemoteWrite)
	copy(from.Bytes(), "late")
	withoutDoorbells(t, func() {
		a.Post(transport.Write(1, from.Span(0, 64), to.Remote(0, 64)).With(transport.Signaled))
	})
	require.Equal(t, transport.StatusOK, a.Take(1)[0].Status)
	require.Equal(t, "late", string(to.Bytes()[:4]))
}
