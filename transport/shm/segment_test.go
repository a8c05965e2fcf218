package shm

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestSegmentKeepsItsSize(t *testing.T) {
	seg, err := newSegment("test", 5000, false)
	require.NoError(t, err)
	defer seg.close()
	require.Len(t, seg.mem, 2*pageSize, "rounded up to pages")
	require.ErrorIs(t, unix.Ftruncate(seg.file.FD(), 0), unix.EPERM, "shrinking would kill whoever has it mapped")
	require.ErrorIs(t, unix.Ftruncate(seg.file.FD(), 1<<20), unix.EPERM)
}

func TestReadOnlySegmentCannotBeMappedWritable(t *testing.T) {
	seg, err := newSegment("test", 100, true)
	require.NoError(t, err)
	defer seg.close()
	seg.mem[0] = 7
	_, err = mapSegment(dup(t, seg.file.FD()), pageSize, true)
	require.ErrorIs(t, err, unix.EPERM)
	peer, err := mapSegment(dup(t, seg.file.FD()), pageSize, false)
	require.NoError(t, err)
	defer peer.close()
	require.Equal(t, byte(7), peer.mem[0])
	_, err = unix.Write(seg.file.FD(), []byte{1})
	require.ErrorIs(t, err, unix.EPERM)
}

func TestForeignDescriptorsAreRefused(t *testing.T) {
	unsealed, err := unix.MemfdCreate("unsealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	require.NoError(t, err)
	require.NoError(t, unix.Ftruncate(unsealed, int64(pageSize)))
	_, err = mapSegment(unsealed, pageSize, false)
	require.ErrorContains(t, err, "sealed")

	file, err := os.Open("/dev/null")
	require.NoError(t, err)
	defer file.Close()
	_, err = mapSegment(dup(t, int(file.Fd())), pageSize, false)
	require.ErrorContains(t, err, "sealed")

	// Sealed, and yet its pages can be taken away: touching it kills then.
	const hugePage = 2 << 20
	huge, err := unix.MemfdCreate("huge", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_HUGETLB|unix.MFD_HUGE_2MB)
	require.NoError(t, err)
	require.NoError(t, unix.Ftruncate(huge, hugePage))
	_, err = unix.FcntlInt(uintptr(huge), unix.F_ADD_SEALS, seals|unix.F_SEAL_SEAL)
	require.NoError(t, err)
	_, err = mapSegment(huge, hugePage, false)
	require.ErrorContains(t, err, "of another kind than this package makes (its file system is 0x958458f6)")

	seg, err := newSegment("test", pageSize, true)
	require.NoError(t, err)
	defer seg.close()
	_, err = mapSegment(dup(t, seg.file.FD()), 2*pageSize, false)
	require.ErrorContains(t, err, "announced")
}

func dup(t *testing.T, fd int) int {
	t.Helper()
	d, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	return d
}
