package verbs_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// Without a library, a device or root.

func TestOpenWithoutDevice(t *testing.T) {
	if os.Getenv("RXE_DEVICE") != "" {
		t.Skip("there is a device")
	}
	_, err := transport.Open("verbs:")
	require.ErrorIs(t, err, transport.ErrNotSupported)
	says := err.Error()
	switch {
	case strings.Contains(says, "libibverbs is not installed: install Debian/Ubuntu packages libibverbs1"):
	case strings.Contains(says, "this build has no cgo (build for Linux with CGO_ENABLED=1"):
	case strings.Contains(says, "this machine has no RDMA device"):
	default:
		t.Fatalf("does not say what is missing: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	name := strings.TrimPrefix(device(t), "verbs://")
	for url, says := range map[string]string{
		"verbs://mlx5_7":         "mlx5_7",
		"verbs://" + name + "/2": "has 1 ports, and no port 2",
		"verbs://192.0.2.99":     "no RDMA device has the address 192.0.2.99",
	} {
		_, err := transport.Open(url)
		require.Error(t, err, url)
		require.ErrorContains(t, err, says, url)
	}
}

func TestOpenByAddress(t *testing.T) {
	o := otherEnd(t)
	d, err := transport.Open("verbs://" + o.address)
	require.NoError(t, err)
	defer d.Close()
	notes := strings.Join(d.Capabilities().Notes, "\n")
	require.Contains(t, notes, "device "+os.Getenv("RXE_DEVICE"))
	require.Contains(t, notes, o.address+": the URL asks for this address")
}

// By default the GID is of RoCE v2 and IPv4, and it says why.
func TestDefaultGID(t *testing.T) {
	o := otherEnd(t)
	d, err := transport.Open(device(t))
	require.NoError(t, err)
	defer d.Close()
	require.Contains(t, strings.Join(d.Capabilities().Notes, "\n"), o.address+": RoCE v2, IPv4, and the address from which the interface sends")
}

// executableByAll is a copy of the test binary that other users can reach.
func executableByAll(t *testing.T) string {
	t.Helper()
	binary, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	f, err := os.CreateTemp("/tmp", "verbs.test")
	require.NoError(t, err)
	t.Cleanup(func() { os.Remove(f.Name()) })
	_, err = f.Write(binary)
	require.NoError(t, errors.Join(err, f.Chmod(0o755), f.Close()))
	return f.Name()
}

// Memory that may not be locked: the error says so, and the device goes on.
func TestNoLockedMemory(t *testing.T) {
	const variable = "VERBS_TEST_NO_MEMLOCK"
	url := device(t)
	if os.Getenv(variable) == "" { // as nobody, for root is not bound
		cmd := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "prlimit", "--memlock=262144",
			executableByAll(t), "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), variable+"=1", "HOME=/tmp")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: "+t.Name()+" ", "it did not run")
		return
	}
	a, b := pairtest.New(t, url)
	_, err := a.PD.Alloc(1<<20, transport.RemoteAll)
	require.ErrorContains(t, err, "ulimit -l")
	require.ErrorContains(t, err, "1048576 bytes")
	from, to := a.Alloc(4096, transport.LocalOnly), b.Alloc(4096, transport.RemoteWrite)
	copy(from.Bytes(), "still works")
	a.Post(transport.Write(1, from.Span(0, 16), to.Remote(0, 16)).With(transport.Signaled))
	require.Equal(t, transport.StatusOK, a.Take(1)[0].Status)
	require.Equal(t, "still works", string(to.Bytes()[:11]))
}

// A peer that cannot be reached: the connection fails in bounded time, and says
// what to look at.
func TestUnreachablePeer(t *testing.T) {
	otherEnd(t)
	a, b := pairtest.New(t, device(t)+"?ack-timeout=8ms&retries=3")
	memory := a.Alloc(64, transport.LocalOnly)
	remote := b.Alloc(64, transport.RemoteWrite).Remote(0, 64)
	require.NoError(t, b.Conn.Close()) // the stream says so, but let us see what the device says
	a.Post(transport.Write(1, memory.Span(0, 64), remote).With(transport.Signaled))
	require.NotEqual(t, transport.StatusOK, a.Take(1)[0].Status)
	require.ErrorIs(t, a.Ended(), transport.ErrPeerClosed)
}

// A domain may be closed while completions of its connections are still to be polled.
// The device would not give it up then, and it would be left.
func TestDomainClosedBeforeLastPoll(t *testing.T) {
	a, _ := pairtest.New(t, device(t))
	_, err := a.Conn.PostRecv(transport.Recv(1, transport.Span{}))
	require.NoError(t, err)
	require.NoError(t, a.Conn.Close())
	require.NoError(t, a.PD.Close())
	var c [1]transport.Completion
	n, err := a.Queue.Wait(t.Context(), c[:], transport.Hot)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, transport.StatusFlushed, c[0].Status)
} // and the device is closed, which fails if something is left

// connectAcross connects a device here and softroce in the other namespace, and
// returns this end and memory of the other.
func (o other) connectAcross(t *testing.T, params string) (*pairtest.End, transport.RemoteSpan) {
	t.Helper()
	a := pairtest.NewEnd(t, device(t)+"?"+params)
	b := pairtest.NewEndOn(t, o.openSoftroce(t))
	a.Conn, b.Conn = pairtest.Connect(t, a, b, a.Config(), b.Config())
	return a, b.Alloc(4096, transport.RemoteAll).Remote(0, 4096)
}

// openSoftroce opens softroce in the other namespace: a socket stays in the one in
// which its thread was when it made it.
func (o other) openSoftroce(t *testing.T) *transport.Device {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	enter := func(path string) {
		namespace, err := os.Open(path)
		require.NoError(t, err)
		defer namespace.Close()
		require.NoError(t, unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET))
	}
	enter("/run/netns/" + o.namespace)
	defer enter("/proc/1/ns/net")
	d, err := transport.Open("softroce://" + o.peerAddress + "?trust-network")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// The interface goes down, and the path MTU shrinks, under live connections between
// two hosts: requests fail in bounded time with an explanation.
func TestNetworkFails(t *testing.T) {
	o := otherEnd(t)
	netdev := os.Getenv("RXE_NETDEV")
	do := func(args ...string) {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
	}
	for name, fail := range map[string]struct {
		breakIt, mend []string
		says          string
	}{
		"packets lost": {[]string{"tc", "qdisc", "add", "dev", netdev, "root", "netem", "loss", "100%"}, []string{"tc", "qdisc", "delete", "dev", netdev, "root"},
			"no acknowledgement in 4 tries, 8.388608ms apart (parameters retries and ack-timeout); can the peer be pinged from"},
		"link down": {[]string{"ip", "link", "set", netdev, "down"}, []string{"ip", "link", "set", netdev, "up"},
			"port 1 of " + os.Getenv("RXE_DEVICE") + " is down: look at its cable and switch, and whether its interface is up ('ip link show " + netdev + "')"},
		"MTU too small": {[]string{"ip", "link", "set", netdev, "mtu", "1000"}, []string{"ip", "link", "set", netdev, "mtu", "4500"},
			"the path MTU of the port shrank to 512 bytes, and the connection uses 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			a, far := o.connectAcross(t, "ack-timeout=8ms&retries=3")
			defer do(fail.mend...)
			from := a.Alloc(4096, transport.LocalOnly)
			a.Post(transport.Write(1, from.Span(0, 4096), far).With(transport.Signaled))
			require.Equal(t, transport.StatusOK, a.Take(1)[0].Status)
			do(fail.breakIt...)
			a.Post(transport.Write(2, from.Span(0, 4096), far).With(transport.Signaled))
			c := a.Take(1)[0]
			require.NotEqual(t, transport.StatusOK, c.Status)
			t.Logf("%v: %v", c.Status, a.Ended())
			require.ErrorContains(t, a.Ended(), fail.says)
		})
	}
}

// The rxe link is removed under a live connection: nobody can open the device any
// more, and the kernel ends those who use it, or waits for them as Linux 6.1 does.
func TestDeviceRemoved(t *testing.T) {
	name := strings.TrimPrefix(device(t), "verbs://")
	a, b := pairtest.New(t, device(t)+"?ack-timeout=8ms&retries=3")
	from, to := a.Alloc(4096, transport.LocalOnly), b.Alloc(4096, transport.RemoteWrite)
	write := func(id uint64) transport.Completion {
		a.Post(transport.Write(id, from.Span(0, 64), to.Remote(0, 64)).With(transport.Signaled))
		return a.Take(1)[0]
	}
	require.Equal(t, transport.StatusOK, write(1).Status)
	remove := exec.Command("rdma", "link", "delete", name)
	require.NoError(t, remove.Start())
	removed, failure := make(chan struct{}), error(nil)
	go func() { failure = remove.Wait(); close(removed) }()
	t.Cleanup(func() {
		require.NoError(t, errors.Join(a.Dev.Close(), b.Dev.Close()))
		<-removed
		require.NoError(t, failure, "the removal ends when nobody uses the device")
		out, err := exec.Command("rdma", "link", "add", name, "type", "rxe", "netdev", os.Getenv("RXE_NETDEV")).CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	require.Eventually(t, func() bool {
		d, err := transport.Open(device(t))
		return err != nil || d.Close() != nil
	}, time.Minute, 10*time.Millisecond, "the device can still be opened")
	if c := write(2); c.Status != transport.StatusOK {
		require.ErrorContains(t, a.Ended(), "the device failed or was removed")
		return
	}
	select {
	case <-removed:
		require.Fail(t, "the device is gone, and its connection goes on")
	default:
	}
}
