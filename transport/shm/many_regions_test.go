package shm_test

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// join connects two ends over a pair of Unix sockets.
func join(t *testing.T, a, b *pairtest.End) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	var streams [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socket")
		streams[i], err = net.FileConn(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
	a.Conn, b.Conn = pairtest.ConnectOver(t, a, b, a.Config(), b.Config(), streams[0], streams[1])
}

// fill writes a word to each region of the peer.
func fill(e *pairtest.End, regions []*transport.Region) {
	e.T.Helper()
	word := e.Alloc(8, transport.LocalOnly)
	copy(word.Bytes(), "a word!!")
	for i, r := range regions {
		e.Post(transport.Write(uint64(i), word.Span(0, 8), r.Remote(0, 8)).With(transport.Signaled))
		require.Equal(e.T, transport.StatusOK, e.Take(1)[0].Status, "region %d", i)
	}
	for _, r := range regions {
		require.Equal(e.T, "a word!!", string(r.Bytes()))
		clear(r.Bytes())
	}
}

// alloc makes so many regions.
func alloc(e *pairtest.End, n int) (regions []*transport.Region) {
	for range n {
		regions = append(regions, e.Alloc(8, transport.RemoteWrite))
	}
	return regions
}

// Keys are good at once, however many there are, those of regions from before the
// connection and those made since.
func TestManyRegions(t *testing.T) {
	const each = 4000
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if limit.Cur < 3*each {
		t.Skipf("it needs %d open files, and may have %d (ulimit -n)", 3*each, limit.Cur)
	}
	owner, peer := pairtest.NewEnd(t, "shm:"), pairtest.NewEnd(t, "shm:")
	before := alloc(owner, each)
	join(t, owner, peer)
	fill(peer, before)
	fill(peer, alloc(owner, each))
}

const fewDescriptors = "SHM_TEST_FEW_DESCRIPTORS"

// A process with many regions and few descriptors serves many peers: each region needs
// one, whoever has been told of it.
func TestFewDescriptors(t *testing.T) {
	if os.Getenv(fewDescriptors) == "" {
		t.Parallel()
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestFewDescriptors$", "-test.v")
		cmd.Env = append(os.Environ(), fewDescriptors+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: TestFewDescriptors")
		return
	}
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1024, Max: 1024}))
	owner := pairtest.NewEnd(t, "shm:")
	regions := alloc(owner, 600)
	for range 20 {
		peer := pairtest.NewEnd(t, "shm:")
		join(t, owner, peer)
		fill(peer, regions)
	}
	// What this process has no room for, the one who asks is told; the others go on.
	for {
		_, err := owner.PD.Alloc(8, transport.RemoteWrite)
		if err == nil {
			continue
		}
		require.ErrorIs(t, err, unix.EMFILE)
		require.ErrorContains(t, err, "ulimit -n")
		break
	}
	require.NoError(t, owner.Conn.Err())
}
