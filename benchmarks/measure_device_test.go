//go:build measure

package benchmarks

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/rxe"
	_ "github.com/rfaas-go/rfaas/transport/all"
)

// TestMeasureVerbs compares verbs on an RDMA device, which RXE_DEVICE names as
// ci/rxe does, with perftest on the same device.
func TestMeasureVerbs(t *testing.T) {
	device := os.Getenv("RXE_DEVICE")
	if device == "" {
		t.Skip("RXE_DEVICE does not name an RDMA device: run this with ci/rxe/run")
	}
	over := func(name string, c Config) contender {
		c.Transport = "verbs://" + device
		return ours(name, c)
	}
	// When pollers starve the emulated driver, everything takes milliseconds: then
	// comparisons are worth nothing.
	fit := perftest{device: device, tool: "ib_write_lat", size: 8, iterations: 5000}.measure(t) / 2
	t.Logf("ib_write_lat 8 B: %.1f us one way; fit to compare below 15", fit/1000)
	for _, size := range []int{8, 4096, 65536} {
		t.Run(fmt.Sprintf("latency/%d", size), func(t *testing.T) {
			iterations := 5000
			if size > 4096 {
				iterations = 500
			}
			f := interleave(t,
				over("write-lat", Config{Test: "write-lat", Sizes: []int{size}, Iterations: iterations}),
				perftest{device: device, tool: "ib_write_lat", size: size, iterations: iterations}.contender(),
				over("send-lat", Config{Test: "send-lat", Sizes: []int{size}, Iterations: iterations}),
				perftest{device: device, tool: "ib_send_lat", size: size, iterations: iterations}.contender())
			t.Logf("write-lat / ib_write_lat x 2 %.3f   send-lat / ib_send_lat x 2 %.3f", quotient(f[0], f[1]), quotient(f[2], f[3]))
		})
	}
	t.Run("invoke", func(t *testing.T) {
		for _, size := range []int{8, 1024} {
			f := interleave(t,
				over("write-imm-lat", Config{Test: "write-imm-lat", Sizes: []int{size}, Iterations: 5000}),
				over("invoke-lat", Config{Test: "invoke-lat", Sizes: []int{size}, Iterations: 5000}),
				over("invoke-lat warm", Config{Test: "invoke-lat", Mode: Warm, Sizes: []int{size}, Iterations: 300}))
			t.Logf("%d B: invoke-lat / write-imm-lat %.3f; warm / hot %.2f", size, quotient(f[1], f[0]), quotient(f[2], f[1]))
		}
	})
	for _, size := range []int{65536, 1 << 20} {
		t.Run(fmt.Sprintf("bandwidth/%d", size), func(t *testing.T) {
			iterations := 64 << 20 / size
			f := interleave(t,
				over("write-bw", Config{Test: "write-bw", Mode: Adaptive, Sizes: []int{size}, Iterations: iterations}), // as there, the receiver does not poll
				perftest{device: device, tool: "ib_write_bw", size: size, iterations: iterations, bandwidth: true}.contender())
			t.Logf("write-bw / ib_write_bw %.3f", quotient(f[0], f[1]))
		})
	}
}

// perftest is a tool of perftest between two processes on the cores that ours use.
type perftest struct {
	device, tool     string
	peer             string // the server's device, if it is another one
	size, iterations int
	bandwidth        bool
}

func (p perftest) contender() contender {
	name := p.tool
	if !p.bandwidth {
		name += " x 2"
	}
	return contender{name, p.measure}
}

// measure is the median round trip in nanoseconds, twice what the tool prints, or
// bytes a second.
func (p perftest) measure(t *testing.T) float64 {
	command := func(cpu, port, device string, host ...string) *exec.Cmd {
		args := append([]string{"-c", cpu, p.tool, "-F", "-d", device, "-x", gidIndex(t, device), "-p", port,
			"-s", strconv.Itoa(p.size), "-n", strconv.Itoa(p.iterations)}, host...)
		return exec.CommandContext(t.Context(), "taskset", args...)
	}
	out := twoEnds(t, func(cpu, port string) *exec.Cmd {
		return command(cpu, port, cmp.Or(p.peer, p.device))
	}, func(cpu, port string) *exec.Cmd {
		return command(cpu, port, p.device, "localhost")
	})
	if p.bandwidth {
		return perftestColumn(t, out, p.size, "BW average") * (1 << 20)
	}
	return perftestColumn(t, out, p.size, "t_typical") * 2 * 1000
}

// perftestColumn is a figure of the table that the tools print.
func perftestColumn(t *testing.T, out string, size int, title string) float64 {
	t.Helper()
	var titles []string
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#bytes") {
			for _, cell := range strings.FieldsFunc(strings.ReplaceAll(line, "] ", "]\x00"), func(r rune) bool { return r == 0 }) {
				for _, s := range strings.Split(cell, "  ") {
					if s = strings.TrimSpace(s); s != "" {
						titles = append(titles, s)
					}
				}
			}
			continue
		}
		values := strings.Fields(line)
		if len(titles) == 0 || len(values) == 0 || values[0] != strconv.Itoa(size) {
			continue
		}
		// "#bytes #iterations" is one cell or two.
		for i, s := range titles {
			if strings.HasPrefix(s, title) {
				v, err := strconv.ParseFloat(values[len(values)-len(titles)+i], 64)
				require.NoError(t, err, out)
				return v
			}
		}
	}
	require.Fail(t, "no figure "+title, out)
	return 0
}

// gidIndex is the index of a device's first RoCE v2 GID with an IPv4 address.
func gidIndex(t *testing.T, device string) string {
	t.Helper()
	ports := "/sys/class/infiniband/" + device + "/ports/1/"
	types, err := filepath.Glob(ports + "gid_attrs/types/*")
	require.NoError(t, err)
	for _, file := range types {
		kind, _ := os.ReadFile(file) // empty entries cannot be read
		gid, _ := os.ReadFile(ports + "gids/" + filepath.Base(file))
		if strings.TrimSpace(string(kind)) == "RoCE v2" && strings.HasPrefix(string(gid), "0000:0000:0000:0000:0000:ffff:") {
			return filepath.Base(file)
		}
	}
	require.Fail(t, "no RoCE v2 GID with an IPv4 address on "+device)
	return ""
}

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
			t.Logf("write-lat: softroce / rxe %.3f, softroce / ib_write_lat x 2 on rxe %.3f", quotient(f[1], f[0]), quotient(f[1], f[2]))
			c.Test = "invoke-lat"
			f = interleave(t, kernel(c), user(c))
			t.Logf("invoke-lat: softroce / rxe %.3f", quotient(f[1], f[0]))
		})
	}
	for _, size := range []int{65536, 1 << 20} {
		t.Run(fmt.Sprintf("bandwidth/%d", size), func(t *testing.T) {
			c := Config{Test: "write-bw", Mode: Adaptive, Sizes: []int{size}, Iterations: 64 << 20 / size}
			f := interleave(t, kernel(c), user(c),
				perftest{device: leftDevice, peer: rightDevice, tool: "ib_write_bw", size: size, iterations: c.Iterations, bandwidth: true}.contender())
			t.Logf("write-bw: softroce / rxe %.3f, softroce / ib_write_bw on rxe %.3f", quotient(f[1], f[0]), quotient(f[1], f[2]))
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
