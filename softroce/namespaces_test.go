package softroce_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"

	"github.com/rfaas-go/rfaas/transport/transporttest"
)

// namespaceVariable tells the test binary that it was started inside the first
// of two network namespaces, and names the second.
const namespaceVariable = "SOFTROCE_TEST_PEER_NAMESPACE"

const (
	addressA = "10.79.0.1"
	addressB = "10.79.0.2"
)

// The suite between two hosts: network namespaces joined by a cable that loses
// one packet in a hundred, each way.
func TestConformanceBetweenLossyHosts(t *testing.T) {
	if peer := os.Getenv(namespaceVariable); peer != "" {
		transporttest.Run(t, transporttest.Config{
			URL: "softroce://" + addressA + "?trust-network", PeerURL: "softroce://" + addressB + "?trust-network",
			Processes: 2, Prefix: []string{"ip", "netns", "exec", peer}, HostA: addressA, HostB: addressB,
			Effort: 0.2, MaxBytes: 1 << 20, Connections: 50, Exclude: lossy, Only: mostly(retransmitted...),
		})
		return
	}
	effort.TwoProcesses(t)
	hosts := newHosts(t, 1500)
	hosts.lose(t, 0.01)
	cmd := exec.Command("ip", "netns", "exec", hosts.a, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v="+fmt.Sprint(testing.Verbose()))
	cmd.Env = append(os.Environ(), namespaceVariable+"="+hosts.b)
	out, err := cmd.CombinedOutput()
	t.Log(hosts.lost(t))
	require.NoError(t, err, "%s", out)
}

// hosts are two network namespaces joined by a pair of interfaces.
type hosts struct{ a, b string }

// newHosts makes the namespaces, which are gone when the test ends.
func newHosts(t *testing.T, mtu int) hosts {
	needRoot(t, "making network namespaces")
	for _, tool := range []string{"ip", "iptables", "ethtool"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, "there is no "+tool+" (Debian packages iproute2, iptables, ethtool)")
		}
	}
	h := hosts{fmt.Sprintf("softroce-a-%d", os.Getpid()), fmt.Sprintf("softroce-b-%d", os.Getpid())}
	for _, ns := range []string{h.a, h.b} {
		run(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { run(t, "ip", "netns", "delete", ns) })
	}
	run(t, "ip", "-n", h.a, "link", "add", "wire", "mtu", strconv.Itoa(mtu), "type", "veth", "peer", "name", "wire", "mtu", strconv.Itoa(mtu), "netns", h.b)
	for ns, address := range map[string]string{h.a: addressA, h.b: addressB} {
		run(t, "ip", "-n", ns, "address", "add", address+"/24", "dev", "wire")
		run(t, "ip", "-n", ns, "link", "set", "lo", "up")
		run(t, "ip", "-n", ns, "link", "set", "wire", "up")
		// One packet is to be lost at a time, not a burst that the kernel has not split
		// yet.
		run(t, "ip", "netns", "exec", ns, "ethtool", "-K", "wire", "gso", "off", "tso", "off", "gro", "off", "tx-udp-segmentation", "off")
	}
	return h
}

// needRoot skips a test that nobody else can run.
func needRoot(t *testing.T, what string) {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, what+" needs root")
	}
}

// missing skips a test that something is missing for; in CI nothing may be.
func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return string(out)
}

// lose has packets lost at random on their way in.
func (h hosts) lose(t *testing.T, probability float64) {
	for _, ns := range []string{h.a, h.b} {
		run(t, "ip", "netns", "exec", ns, "iptables", "-A", "INPUT", "-p", "udp", "--dport", "4791",
			"-m", "statistic", "--mode", "random", "--probability", fmt.Sprint(probability), "-j", "DROP")
		run(t, "ip", "netns", "exec", ns, "iptables", "-A", "INPUT", "-p", "udp", "--dport", "4791", "-j", "ACCEPT")
	}
}

// lost tells how many packets were lost, and checks that it was about what was
// asked for.
func (h hosts) lost(t *testing.T) string {
	var report []string
	for _, ns := range []string{h.a, h.b} {
		counts := regexp.MustCompile(`(?m)^\s*(\d+)\s+\d+\s+(DROP|ACCEPT)`).FindAllStringSubmatch(
			run(t, "ip", "netns", "exec", ns, "iptables", "-nvxL", "INPUT"), -1)
		require.Len(t, counts, 2)
		dropped, _ := strconv.ParseFloat(counts[0][1], 64)
		passed, _ := strconv.ParseFloat(counts[1][1], 64)
		rate := dropped / (dropped + passed)
		report = append(report, fmt.Sprintf("%s lost %.0f of %.0f packets, %.2f %%", ns, dropped, dropped+passed, 100*rate))
		require.InDelta(t, 0.01, rate, 0.002, report)
	}
	return strings.Join(report, "; ")
}
