package rxe

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The capability counts while it is effective, and no other does.
func TestHasNetAdmin(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread() // and not unlocked: the thread ends with the test
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	require.NoError(t, unix.Capget(&header, &data[0]))
	if data[0].Permitted&(1<<unix.CAP_NET_ADMIN) == 0 {
		require.NotZero(t, os.Getuid(), "root without CAP_NET_ADMIN: what it has cannot be tested")
		require.False(t, hasNetAdmin())
		return
	}
	data[0].Effective = 1 << unix.CAP_NET_ADMIN
	require.NoError(t, unix.Capset(&header, &data[0]))
	require.True(t, hasNetAdmin())
	data[0].Effective = data[0].Permitted &^ (1 << unix.CAP_NET_ADMIN)
	require.NoError(t, unix.Capset(&header, &data[0]))
	require.False(t, hasNetAdmin())
}

func TestInterfaceNames(t *testing.T) {
	t.Parallel()
	names, err := interfaceNames()
	require.NoError(t, err)
	require.Contains(t, names, "lo")
}
