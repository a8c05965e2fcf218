package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/softroce/rxe"
)

func TestRxeUsage(t *testing.T) {
	t.Parallel()
	refuses(t, t.TempDir(), []string{"rxe"}, map[string][]string{
		"rfaas rxe: which command? there are: add, list, delete\nSee 'rfaas rxe --help'.\n": {},
		"rfaas rxe add: which NAME, and on which INTERFACE?\n":                              {"add"},
		"rfaas rxe add: on which INTERFACE? there are: lo":                                  {"add", "rxe9"},
		"rfaas rxe add: 3 arguments: must be NAME and INTERFACE\n":                          {"add", "rxe9", "type", "rxe"},
		`rfaas rxe add: add rxe%d to lo: not a name for an RDMA device: "rxe%d": must be `:  {"add", "rxe%d", "lo"},
		"rfaas rxe delete: which device? one NAME, as 'rfaas rxe list' shows it\n":          {"delete"},
		"rfaas rxe delete: which device? one NAME, as 'rfaas rxe list' shows it\nSee":       {"delete", "rxe8", "rxe9"},
		`rfaas rxe: unknown command "remove" for "rfaas rxe"`:                               {"remove"},
		`rfaas rxe list: unknown command "rxe9" for "rfaas rxe list"`:                       {"list", "rxe9"},
	})
}

// kernelHasRDMA says whether this kernel does.
func kernelHasRDMA() bool {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_RDMA)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

// Without RDMA all commands say so; with it, what is asked for is not there.
func TestRxeFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		args              []string
		without, withRDMA string
	}{
		{[]string{"add", "rxe9", "not-there"}, "rfaas rxe add: add rxe9 to not-there: the kernel has no RDMA: ", "rfaas rxe add: add rxe9 to not-there: no"},
		{[]string{"delete", "rxe9"}, "rfaas rxe delete: delete rxe9: the kernel has no RDMA: ", "rfaas rxe delete: delete rxe9: no such RDMA device: "},
		{[]string{"list"}, "rfaas rxe list: the kernel has no RDMA: ", ""},
		{[]string{"list", "--json"}, "rfaas rxe list: the kernel has no RDMA: ", ""},
	} {
		status, stdout, stderr := run(t, dir, append([]string{"rxe"}, c.args...)...)
		switch {
		case !kernelHasRDMA():
			require.Equal(t, exitFailed, status)
			require.True(t, strings.HasPrefix(stderr, c.without), stderr)
			require.Empty(t, stdout)
		case c.withRDMA == "":
			require.Equal(t, exitOK, status, stderr)
		default:
			require.Equal(t, exitFailed, status)
			require.True(t, strings.HasPrefix(stderr, c.withRDMA), stderr)
		}
	}
}

func TestRxeOutput(t *testing.T) {
	t.Parallel()
	links := []rxe.Link{
		{Name: "rxe0", Port: 1, Driver: "rxe", Interface: "eth0", State: "ACTIVE", PhysicalState: "LINK_UP", NodeGUID: "5054:00ff:fe12:3456", GIDs: []rxe.GID{
			{Index: 0, Address: netip.MustParseAddr("fe80::5054:ff:fe12:3456"), Type: "RoCE v2"},
			{Index: 12, Address: netip.MustParseAddr("::ffff:10.9.0.1"), Type: "RoCE v2"},
		}},
		{Name: "mlx5_0", Port: 2, State: "DOWN", PhysicalState: "DISABLED", NodeGUID: "0000:0000:0000:0001"},
	}
	var b strings.Builder
	require.Equal(t, links[:1], onlyRxe(slices.Clone(links)))
	require.NoError(t, writeLinks(&b, links, false))
	require.Equal(t, `rxe0: active
  port        1, link up
  driver      rxe
  interface   eth0
  node GUID   5054:00ff:fe12:3456
  GID 0       fe80::5054:ff:fe12:3456, RoCE v2
  GID 12      ::ffff:10.9.0.1, RoCE v2
mlx5_0: down
  port        2, disabled
  driver      none
  interface   none
  node GUID   0000:0000:0000:0001
`, b.String())
	b.Reset()
	require.NoError(t, writeLinks(&b, links, true))
	require.Equal(t, `{"name":"rxe0","port":1,"driver":"rxe","interface":"eth0","state":"ACTIVE","physical_state":"LINK_UP","node_guid":"5054:00ff:fe12:3456",`+
		`"gids":[{"index":0,"address":"fe80::5054:ff:fe12:3456","type":"RoCE v2"},{"index":12,"address":"::ffff:10.9.0.1","type":"RoCE v2"}]}
{"name":"mlx5_0","port":2,"state":"DOWN","physical_state":"DISABLED","node_guid":"0000:0000:0000:0001"}
`, b.String())
}

// complete is what a shell offers for the last argument.
func complete(t *testing.T, args ...string) []string {
	t.Helper()
	stdout := succeed(t, t.TempDir(), append([]string{"__complete"}, args...)...)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Equal(t, ":4", lines[len(lines)-1], "files are offered")
	return lines[:len(lines)-1]
}

func TestRxeCompletion(t *testing.T) {
	t.Parallel()
	require.Equal(t, interfaceNames(), complete(t, "rxe", "add", "rxe9", ""))
	require.Contains(t, interfaceNames(), "lo")
	require.Empty(t, complete(t, "rxe", "add", ""))
	require.Empty(t, complete(t, "rxe", "add", "rxe9", "lo", ""))
	require.Empty(t, complete(t, "rxe", "delete", "rxe9", ""))
}

// A device from its making to its end, as in the help of the command.
func TestRxeDevice(t *testing.T) {
	device := os.Getenv("RXE_DEVICE")
	if device == "" {
		t.Skip("needs a kernel with rxe, and root: RXE_DEVICE is not set; ci/rxe/run provides both")
	}
	dir, name := t.TempDir(), "rfaas-test"
	a, b := fmt.Sprintf("rfaas%da", os.Getpid()), fmt.Sprintf("rfaas%db", os.Getpid())
	ip := func(args ...string) {
		out, err := exec.Command("ip", args...).CombinedOutput()
		require.NoError(t, err, "ip %s: %s", args, out)
	}
	ip("link", "add", a, "mtu", "4500", "type", "veth", "peer", "name", b, "mtu", "4500")
	t.Cleanup(func() { ip("link", "delete", a) })
	ip("address", "add", "10.76.0.1/24", "dev", a)

	status, stdout, stderr := run(t, dir, "rxe", "add", name, a)
	require.Equal(t, exitOK, status, stderr)
	t.Cleanup(func() { run(t, dir, "rxe", "delete", name) })
	require.Equal(t, fmt.Sprintf("rfaas rxe add: %s is down as long as %s is: sudo ip link set %s up\n", name, a, a), stderr)
	require.Regexp(t, `^`+name+`: down\n  port        1, disabled\n  driver      rxe\n  interface   `+a+`\n  node GUID   [0-9a-f:]{19}\n`, stdout)

	ip("link", "set", b, "up")
	ip("link", "set", a, "up")
	require.True(t, eventually(time.Minute, func() bool {
		status, stdout, stderr = run(t, dir, "rxe", "list")
		require.Equal(t, exitOK, status, stderr)
		return strings.Contains(stdout, name+": active\n  port        1, link up\n") && strings.Contains(stdout, " ::ffff:10.76.0.1, RoCE v2\n")
	}))
	require.Empty(t, stderr)
	require.Regexp(t, `(?m)^`+device+`: active$`, stdout)

	stdout = succeed(t, dir, "rxe", "list", "--json", "--all")
	listed := map[string]rxe.Link{}
	for _, l := range decodeLines[rxe.Link](t, stdout) {
		listed[l.Name] = l
	}
	require.Contains(t, listed, device)
	require.Equal(t, a, listed[name].Interface)
	require.Equal(t, "ACTIVE", listed[name].State)
	require.Contains(t, complete(t, "rxe", "delete", ""), name)
	require.Empty(t, complete(t, "rxe", "delete", name, ""))

	status, stdout, stderr = run(t, dir, "rxe", "add", name, a)
	require.Equal(t, exitFailed, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "there is one already: "+a+" has the rxe link "+name)

	status, stdout, stderr = run(t, dir, "rxe", "delete", name)
	require.Equal(t, exitOK, status, stderr)
	require.Empty(t, stdout+stderr)
	require.NotContains(t, complete(t, "rxe", "delete", ""), name)
	stderr = fails(t, dir, "rxe", "delete", name)
	require.Contains(t, stderr, "no such RDMA device: rxe links are: "+device)
}
