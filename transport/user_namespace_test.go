package transport_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

const inNamespace = "TRANSPORT_TEST_IN_USER_NAMESPACE"

// A listener in a user namespace that knows neither its own user nor the one who dials: to
// it they look like one, and they are not.
func TestUserNamespace(t *testing.T) {
	if address := os.Getenv(inNamespace); address != "" {
		listenInNamespace(t, address)
		return
	}
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("it needs root, who can make user namespaces of other users")
	}
	e := pairtest.NewEnd(t, "loopback:")
	address := "@" + t.Name()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestUserNamespace$", "-test.v")
	cmd.Env = append(os.Environ(), inNamespace+"="+address)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER, Pdeathsig: syscall.SIGKILL,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: 12345, Size: 1}},
	}
	cmd.Stderr = t.Output()
	said, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for lines := bufio.NewScanner(said); lines.Scan() && lines.Text() != "listening"; {
		t.Log(lines.Text())
	}
	_, err = e.Dev.Dial(t.Context(), "unix", address, e.Config())
	require.ErrorIs(t, err, transport.ErrRejected)
	require.ErrorContains(t, err, "which is how users look that this user namespace does not know")
}

func listenInNamespace(t *testing.T, address string) {
	e := pairtest.NewEnd(t, "loopback:")
	l, err := transport.Listen("unix", address)
	require.NoError(t, err)
	fmt.Println("listening")
	require.ErrorIs(t, <-accept(t.Context(), l, e.Config()), transport.ErrRejected)
	require.Equal(t, 65534, os.Geteuid())
}
