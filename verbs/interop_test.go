package verbs_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	_ "github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport/transporttest"
)

// The tests of this file have a device on one end and softroce, in a network
// namespace of its own, on the other: a wire protocol is compatible when the other
// side was written by somebody else.

// other is where the second end is: what ci/rxe has made.
type other struct{ address, peerAddress, namespace string }

func otherEnd(t *testing.T) other {
	t.Helper()
	device(t)
	o := other{os.Getenv("RXE_ADDRESS"), os.Getenv("RXE_PEER_ADDRESS"), os.Getenv("RXE_PEER_NAMESPACE")}
	if o.address == "" || o.peerAddress == "" || o.namespace == "" {
		t.Skip("RXE_ADDRESS, RXE_PEER_ADDRESS and RXE_PEER_NAMESPACE do not name a second host: run this with ci/rxe/run")
	}
	return o
}

// config has the device on end a and softroce on end b, both with the URL
// parameters.
func (o other) config(t *testing.T, params string) transporttest.Config {
	cfg := config(t)
	cfg.URL = device(t) + "?" + params
	cfg.PeerURL = "softroce://" + o.peerAddress + "?trust-network&" + params
	cfg.Processes = 2
	cfg.Prefix = []string{"ip", "netns", "exec", o.namespace}
	cfg.HostA, cfg.HostB = o.address, o.peerAddress
	return cfg
}

// insideVariable tells the test binary that it was started in the other namespace.
const insideVariable = "VERBS_TEST_INSIDE"

// reversed runs the test in the other namespace, where end a is softroce and end b
// the device. It returns false to who should run the suite with cfg.
func (o other) reversed(t *testing.T, cfg *transporttest.Config) bool {
	if os.Getenv(insideVariable) == "" {
		cmd := exec.Command("ip", "netns", "exec", o.namespace, os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v")
		cmd.Env = append(os.Environ(), insideVariable+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: "+t.Name()+"/", "none of the suite's tests ran")
		return true
	}
	cfg.URL, cfg.PeerURL = cfg.PeerURL, cfg.URL
	cfg.HostA, cfg.HostB = cfg.HostB, cfg.HostA
	cfg.Prefix = []string{"nsenter", "--net=/proc/1/ns/net"}
	return false
}

func TestInteropSoftroce(t *testing.T) {
	o := otherEnd(t)
	t.Run("device to softroce", func(t *testing.T) {
		cfg := o.config(t, "")
		if !effort.Whole() {
			cfg.Only = []string{"setup/", "close/", "walk/"}
		}
		transporttest.Run(t, cfg)
	})
	t.Run("softroce to device", func(t *testing.T) {
		cfg := o.config(t, "")
		if !effort.Whole() {
			cfg.Only = []string{"access/", "failure/", "walk/"}
		}
		if !o.reversed(t, &cfg) {
			transporttest.Run(t, cfg)
		}
	})
}

// Every path MTU, sizes around its multiples, and sequence numbers that wrap.
func TestInteropPathMTU(t *testing.T) {
	o := otherEnd(t)
	mtus := []int{256}
	if effort.Whole() {
		mtus = []int{256, 512, 1024, 2048, 4096}
	}
	for _, mtu := range mtus {
		t.Run(fmt.Sprint(mtu), func(t *testing.T) {
			cfg := o.config(t, fmt.Sprintf("mtu=%d&psn=0xfffff0", mtu))
			cfg.Only = []string{"payload/every size and offset", "atomic/"}
			if effort.Whole() { // with many packets under way rxe can stop for good: see TestInteropLossy
				cfg.Only = append(cfg.Only, "walk/")
			}
			transporttest.Run(t, cfg)
		})
	}
}

// A network that loses one packet in a hundred, repeats one in a thousand and lets
// a quarter overtake others, both ways. Not the whole suite, because of what the
// kernel's rxe does then (Linux 6.1): it never answers a repeated READ of no bytes;
// and with many requests under way its requester can stop for good, sending nothing
// and without a timer, as it does now and then without any loss.
func TestInteropLossy(t *testing.T) {
	o := otherEnd(t)
	shape := []string{"root", "netem", "delay", "100us", "loss", "1%", "duplicate", "0.1%", "reorder", "25%"}
	for _, tc := range [][]string{
		{"tc", "qdisc", "%s", "dev", os.Getenv("RXE_NETDEV")},
		{"ip", "netns", "exec", o.namespace, "tc", "qdisc", "%s", "dev", os.Getenv("RXE_PEER_NETDEV")},
	} {
		do := func(what string, more ...string) {
			args := append(append([]string(nil), tc...), more...)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "%s", what)
			}
			out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			require.NoError(t, err, "%v: %s", args, out)
		}
		do("add", shape...)
		t.Cleanup(func() { do("delete", "root") })
	}
	cfg := o.config(t, "mtu=1024&ack-timeout=30ms")
	cfg.URL += "&retries=7"       // for ever: rxe counts what was only overtaken as a failed try
	cfg.PeerURL += "&retries=255" // 16 of 30 ms are not enough for a guest that gets little of a busy machine
	cfg.Only = []string{"payload/every size and offset", "payload/immediate", "payload/receives", "atomic/"}
	cfg.MaxBytes = 64 << 10
	transporttest.Run(t, cfg)
}
