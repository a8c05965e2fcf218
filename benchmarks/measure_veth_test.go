//go:build measure

package benchmarks

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/rxe"
	_ "github.com/rfaas-go/rfaas/transport/all"
)

// The two ends of the cable that the kernel's driver and softroce are compared on.
const (
	leftDevice, leftNetdev, leftAddress    = "rxe_w0", "w0", "10.8.0.1"
	rightDevice, rightNetdev, rightAddress = "rxe_w1", "w1", "10.8.0.2"
)

// TestMeasureVeth compares RoCE in user space with the kernel's, each from one end
// of a veth pair to the other. The kernel's driver serves one namespace: both ends
// are in it, and the routes send what goes from one to the other over the cable.
func TestMeasureVeth(t *testing.T) {
	if os.Getenv("RXE_DEVICE") == "" {
		t.Skip("RXE_DEVICE does not name an RDMA device: run this with ci/rxe/run")
	}
	layCable(t)
	kernel := func(c Config) contender {
		c.Transport, c.PeerTransport = "verbs://"+leftDevice, "verbs://"+rightDevice
		return ours(c.Test+" rxe", c)
	}
	user := func(c Config) contender { // on ports of its own: the driver has taken RoCE's
		c.Transport, c.PeerTransport = "softroce://"+leftAddress+":0?trust-network", "softroce://"+rightAddress+":0?trust-network"
		return ours(c.Test+" softroce", c)
	}
	for _, size := range []int{8, 4096} {
		t.Run(fmt.Sprintf("latency/%d", size), func(t *testing.T) {
			c := Config{Test: "write-lat", Sizes: []int{size}, Iterations: 3000}
			f := interleave(t, kernel(c), user(c),
				perftest{device: leftDevice, peer: rightDevice, tool: "ib_write_lat", size: size, iterations: c.Iterations}.contender())
			t.Logf("write-lat: softroce / rxe %.3f, softroce / ib_write_lat x 2 on rxe %.3f", ratio(f[1], f[0]), ratio(f[1], f[2]))
			c.Test = "invoke-lat"
			f = interleave(t, kernel(c), user(c))
			t.Logf("invoke-lat: softroce / rxe %.3f", ratio(f[1], f[0]))
		})
	}
	for _, size := range []int{65536, 1 << 20} {
		t.Run(fmt.Sprintf("bandwidth/%d", size), func(t *testing.T) {
			c := Config{Test: "write-bw", Mode: Adaptive, Sizes: []int{size}, Iterations: 64 << 20 / size}
			f := interleave(t, kernel(c), user(c),
				perftest{device: leftDevice, peer: rightDevice, tool: "ib_write_bw", size: size, iterations: c.Iterations, bandwidth: true}.contender())
			t.Logf("write-bw: softroce / rxe %.3f, softroce / ib_write_bw on rxe %.3f", ratio(f[1], f[0]), ratio(f[1], f[2]))
		})
	}
}

// layCable makes the pair, the routes over it, and a device on either end.
func layCable(t *testing.T) {
	t.Cleanup(func() {
		for _, line := range []string{
			"ip rule add pref 0 lookup local", "ip rule delete pref 100", "ip rule delete pref 10", "ip rule delete pref 11",
			"ip link delete " + leftNetdev,
		} {
			command(line).Run()
		}
	})
	for _, line := range []string{
		"ip link add " + leftNetdev + " type veth peer name " + rightNetdev,
		"ip address add " + leftAddress + "/24 dev " + leftNetdev,
		"ip address add " + rightAddress + "/24 dev " + rightNetdev,
		"ip link set " + leftNetdev + " up",
		"ip link set " + rightNetdev + " up",
		"ip route add " + rightAddress + " dev " + leftNetdev + " src " + leftAddress + " table 101",
		"ip route add " + leftAddress + " dev " + rightNetdev + " src " + rightAddress + " table 102",
		"ip rule add pref 10 iif lo to " + rightAddress + " lookup 101",
		"ip rule add pref 11 iif lo to " + leftAddress + " lookup 102",
		"ip rule add pref 100 lookup local",
		"ip rule delete pref 0",
	} {
		out, err := command(line).CombinedOutput()
		require.NoError(t, err, "%s: %s", line, out)
	}
	for _, name := range []string{leftNetdev, rightNetdev} {
		for file, value := range map[string]string{"accept_local": "1", "rp_filter": "0"} {
			require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/conf/"+name+"/"+file, []byte(value), 0))
		}
	}
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/conf/all/rp_filter", []byte("0"), 0))
	for device, netdev := range map[string]string{leftDevice: leftNetdev, rightDevice: rightNetdev} {
		require.NoError(t, rxe.Add(device, netdev))
		t.Cleanup(func() { rxe.Delete(device) })
	}
}

func command(line string) *exec.Cmd {
	words := strings.Fields(line)
	return exec.Command(words[0], words[1:]...)
}
