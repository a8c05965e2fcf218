package rxe

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Whatever kernel this is, the package agrees with it on whether it has RDMA.
func TestThisKernel(t *testing.T) {
	t.Parallel()
	fd, errno := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_RDMA)
	if errno == nil {
		unix.Close(fd)
		_, err := List()
		require.NoError(t, err)
		requireKind(t, ErrNotExist, Delete("not-there"))
		return
	}
	_, err := List()
	for _, err := range []error{err, Add("rxe9", "lo"), Delete("rxe9")} {
		requireKind(t, ErrUnsupported, err)
		require.ErrorIs(t, err, errno)
		var name unix.Utsname
		require.NoError(t, unix.Uname(&name))
		require.ErrorContains(t, err, "the kernel has no RDMA: Linux "+unix.ByteSliceToString(name.Release[:])+" knows no RDMA netlink: ")
		require.ErrorContains(t, err, "module ib_core ")
	}
}

// needKernel skips a test that takes a kernel with rxe, and root, unless
// RXE_DEVICE says that both are there.
func needKernel(t *testing.T) {
	t.Helper()
	if os.Getenv("RXE_DEVICE") == "" {
		t.Skip("needs a kernel with rxe, and root: RXE_DEVICE is not set; ci/rxe/run provides both")
	}
	require.Zero(t, os.Getuid(), "RXE_DEVICE is set, and this is not root")
}

// newVeth makes a pair of interfaces that are up, and returns the name of one end,
// which has this address.
func newVeth(t *testing.T, address string) string {
	t.Helper()
	a, b := fmt.Sprintf("rxe%da", os.Getpid()), fmt.Sprintf("rxe%db", os.Getpid())
	run(t, "ip", "link", "add", a, "mtu", "1500", "type", "veth", "peer", "name", b)
	t.Cleanup(func() { run(t, "ip", "link", "delete", a) })
	run(t, "ip", "address", "add", address, "dev", a)
	run(t, "ip", "link", "set", b, "up")
	run(t, "ip", "link", "set", a, "up")
	return a
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return string(out)
}

// find returns the link of a name, if there is one.
func find(t *testing.T, name string) (Link, bool) {
	t.Helper()
	links, err := List()
	require.NoError(t, err)
	i := slices.IndexFunc(links, func(l Link) bool { return l.Name == name })
	if i < 0 {
		return Link{}, false
	}
	return links[i], true
}

// all lists all links, without their GIDs, which the kernel adds when it likes.
func all(t *testing.T) []Link {
	t.Helper()
	links, err := local.links()
	require.NoError(t, err)
	return links
}

// eventually waits for what the kernel does on its own.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), what)
	}
}

// add makes a link that is gone when the test ends.
func add(t *testing.T, name, netdev string) {
	t.Helper()
	require.NoError(t, Add(name, netdev))
	t.Cleanup(func() {
		if _, ok := find(t, name); ok {
			require.NoError(t, Delete(name))
		}
	})
}

// A link is made, seen by this package, by rdma(8) and in /sys alike, and deleted.
// Those that are there already stay as they are.
func TestLinkOnVeth(t *testing.T) {
	needKernel(t)
	name, netdev := "rxe_test-1.x", newVeth(t, "10.78.0.1/24")
	before := all(t)

	add(t, name, netdev)

	var l Link
	eventually(t, "the address of the interface is a GID", func() bool {
		l, _ = find(t, name)
		return slices.ContainsFunc(l.GIDs, func(g GID) bool { return g.Address == netip.MustParseAddr("::ffff:10.78.0.1") })
	})
	require.True(t, l.IsRxe())
	require.Equal(t, 1, l.Port)
	require.Equal(t, netdev, l.Interface)
	require.Equal(t, "ACTIVE", l.State)
	require.Equal(t, "LINK_UP", l.PhysicalState)
	for _, g := range l.GIDs {
		require.Equal(t, "RoCE v2", g.Type)
		content, err := os.ReadFile(fmt.Sprintf("/sys/class/infiniband/%s/ports/1/gids/%d", name, g.Index))
		require.NoError(t, err)
		require.Equal(t, g.Address, netip.MustParseAddr(strings.TrimSpace(string(content))))
	}
	content, err := os.ReadFile("/sys/class/infiniband/" + name + "/node_guid")
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(content)), l.NodeGUID)
	requireAsRdma(t, l)

	require.NoError(t, Delete(name))
	require.Equal(t, before, all(t))
	requireKind(t, ErrNotExist, Delete(name))
	out, err := exec.Command("rdma", "link", "show", name+"/1").CombinedOutput()
	require.Error(t, err, "%s", out)
}

// requireAsRdma checks that rdma(8) says the same of a link.
func requireAsRdma(t *testing.T, l Link) {
	t.Helper()
	var links []struct {
		Name          string `json:"ifname"`
		Port          int    `json:"port"`
		State         string `json:"state"`
		PhysicalState string `json:"physical_state"`
		Interface     string `json:"netdev"`
	}
	require.NoError(t, json.Unmarshal([]byte(run(t, "rdma", "-j", "link", "show", l.Name+"/1")), &links))
	require.Len(t, links, 1)
	require.Equal(t, Link{Name: l.Name, Port: l.Port, State: l.State, PhysicalState: l.PhysicalState, Interface: l.Interface},
		Link{Name: links[0].Name, Port: links[0].Port, State: links[0].State, PhysicalState: links[0].PhysicalState, Interface: links[0].Interface})
	var devices []struct {
		GUID string `json:"node_guid"`
	}
	require.NoError(t, json.Unmarshal([]byte(run(t, "rdma", "-j", "dev", "show", l.Name)), &devices))
	require.Len(t, devices, 1)
	require.Equal(t, devices[0].GUID, l.NodeGUID)
}

// The state of the link follows that of its interface.
func TestLinkGoesDown(t *testing.T) {
	needKernel(t)
	netdev := newVeth(t, "10.78.0.1/24")
	run(t, "ip", "link", "set", netdev, "down")
	add(t, "rxe_test", netdev)
	l, _ := find(t, "rxe_test")
	require.Equal(t, "DOWN", l.State)
	requireAsRdma(t, l)
	run(t, "ip", "link", "set", netdev, "up")
	eventually(t, "the link is up", func() bool { l, _ = find(t, "rxe_test"); return l.State == "ACTIVE" })
}

func TestKernelRefuses(t *testing.T) {
	needKernel(t)
	netdev := newVeth(t, "10.78.0.1/24")
	add(t, "rxe_test", netdev)
	before := all(t)
	vlan := fmt.Sprintf("rxe%d.5", os.Getpid())
	run(t, "ip", "link", "add", "link", netdev, "name", vlan, "type", "vlan", "id", "5")

	err := Add("rxe_test", vlan)
	requireKind(t, ErrUnsuitable, err)
	require.ErrorContains(t, err, vlan+" is a VLAN: add the link to the interface below ("+netdev+")")

	err = Add("rxe_other", netdev)
	requireKind(t, ErrExist, err)
	require.ErrorContains(t, err, netdev+" has the rxe link rxe_test")

	err = Add("rxe_test", "lo")
	requireKind(t, ErrExist, err)
	require.ErrorContains(t, err, "an RDMA device is called rxe_test (driver rxe, interface "+netdev+")")

	err = Add("rxe_other", "not-there")
	requireKind(t, ErrNoInterface, err)
	require.ErrorContains(t, err, "interfaces are: lo, ")
	require.ErrorContains(t, err, netdev)

	err = Add(netdev, "rxe_other")
	requireKind(t, ErrNoInterface, err)
	require.ErrorContains(t, err, "then the interface: rxe_other "+netdev)

	require.Equal(t, before, all(t))
}

// The addresses of a VLAN are GIDs of the link below, as the error says.
func TestVLANHasGIDs(t *testing.T) {
	needKernel(t)
	netdev := newVeth(t, "10.78.0.1/24")
	add(t, "rxe_test", netdev)
	vlan := fmt.Sprintf("rxe%d.5", os.Getpid())
	run(t, "ip", "link", "add", "link", netdev, "name", vlan, "type", "vlan", "id", "5")
	run(t, "ip", "address", "add", "10.77.0.1/24", "dev", vlan)
	run(t, "ip", "link", "set", vlan, "up")
	eventually(t, "the address of the VLAN is a GID", func() bool {
		l, _ := find(t, "rxe_test")
		return slices.ContainsFunc(l.GIDs, func(g GID) bool { return g.Address == netip.MustParseAddr("::ffff:10.77.0.1") })
	})
}

// The kernel would wait for the program, and nothing could interrupt it.
func TestDeleteInUse(t *testing.T) {
	needKernel(t)
	add(t, "rxe_test", newVeth(t, "10.78.0.1/24"))
	user := exec.Command("ibv_asyncwatch", "-d", "rxe_test")
	user.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, user.Start(), "Debian package ibverbs-utils")
	end := func() { user.Process.Kill(); user.Wait() }
	defer end()
	inUse := fmt.Sprintf("dev rxe_test ctxn 0 pid %d comm ibv_asyncwatch", user.Process.Pid)
	eventually(t, "the program has the device open", func() bool { return strings.Contains(run(t, "rdma", "res", "show", "ctx"), inUse) })

	err := Delete("rxe_test")

	requireKind(t, ErrInUse, err)
	require.ErrorContains(t, err, fmt.Sprintf(": ibv_asyncwatch (%d)", user.Process.Pid))
	end()
	require.NoError(t, Delete("rxe_test"))
}

// asUnprivileged tells the test binary that it was started without privilege, on
// this interface.
const asUnprivileged = "RXE_TEST_UNPRIVILEGED_ON"

func TestUnprivileged(t *testing.T) {
	if netdev := os.Getenv(asUnprivileged); netdev != "" {
		err := Add("rxe_other", netdev)
		requireKind(t, ErrNotPermitted, err)
		fmt.Println(err)
		err = Delete("rxe_test")
		requireKind(t, ErrNotPermitted, err)
		fmt.Println(err)
		l, ok := find(t, "rxe_test")
		require.True(t, ok)
		require.True(t, l.IsRxe())
		require.Equal(t, netdev, l.Interface)
		return
	}
	needKernel(t)
	netdev := newVeth(t, "10.78.0.1/24")
	add(t, "rxe_test", netdev)
	before := all(t)
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	// Root of a user namespace holds every capability, but not where it counts.
	container := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
	}
	for want, attributes := range map[string]*syscall.SysProcAttr{
		"not permitted: it takes CAP_NET_ADMIN: run it with sudo":               nobody,
		"not permitted: it takes CAP_NET_ADMIN in the initial user namespace, ": container,
	} {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestUnprivileged$", "-test.v")
		cmd.Env = append(os.Environ(), asUnprivileged+"="+netdev)
		cmd.Dir, cmd.SysProcAttr = "/", attributes
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "\nrxe: add rxe_other to "+netdev+": "+want)
		require.Contains(t, string(out), "\nrxe: delete rxe_test: "+want)
	}
	require.Equal(t, before, all(t))
}
