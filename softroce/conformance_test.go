package softroce_test

import (
	"testing"

	"github.com/rfaas-go/rfaas/internal/effort"
	_ "github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport/transporttest"
)

func TestMain(m *testing.M) { transporttest.Main(m) }

func TestConformanceInOneProcess(t *testing.T) {
	effort.OneProcess(t)
	transporttest.Run(t, transporttest.Config{URL: "softroce:", Effort: effort.Scale()})
}

func TestConformanceInTwoProcesses(t *testing.T) {
	effort.TwoProcesses(t)
	transporttest.Run(t, transporttest.Config{URL: "softroce:", Processes: 2, Effort: effort.Scale()})
}

func TestConformanceOverIPv6(t *testing.T) {
	effort.TwoProcesses(t)
	transporttest.Run(t, transporttest.Config{
		URL: "softroce://[::1]:0", Processes: 2, Effort: 0.3, Only: mostly("setup/", "payload/every size and offset", "failure/", "walk/"),
	})
}

// mostly is what of the suite a variant of the transport is tried with: all of it for
// the whole effort, else what the variant changes.
func mostly(changed ...string) []string {
	if effort.Whole() {
		return nil
	}
	return changed
}

// retransmitted is what loss makes different.
var retransmitted = []string{"payload/every size and offset", "order/", "atomic/", "failure/", "close/", "walk/", "death/"}

// lossy says what cannot be asked for of a network that loses packets.
var lossy = map[string]string{
	"sharing/hundreds of connections into one queue":                              unfair,
	"sharing/hundreds of connections into one queue and one shared receive queue": unfair,
}

const unfair = "a connection whose last packet was lost waits for its timer while the others go on, which is not fair"

// The network loses, repeats and swaps one packet in a hundred each.
func TestConformanceWithFaults(t *testing.T) {
	effort.TwoProcesses(t)
	transporttest.Run(t, transporttest.Config{
		URL: "softroce:?loss=0.01&duplicate=0.01&reorder=0.01", Processes: 2, Effort: 0.3, MaxBytes: 1 << 20, Exclude: lossy, Only: mostly(retransmitted...),
	})
}

// The network is slow.
func TestConformanceOverASlowNetwork(t *testing.T) {
	effort.TwoProcesses(t)
	transporttest.Run(t, transporttest.Config{
		URL: "softroce:?delay=50us&jitter=20us&rate=10Gbit", Processes: 2, Effort: 0.3 * effort.Scale(), MaxBytes: 1 << 20,
		Only: mostly("payload/every size and offset", "order/", "allocations/", "sleep/", "failure/", "close/", "walk/", "death/"),
	})
}

// Packets from a raw socket, checked exactly.
func TestConformanceWithExactICRC(t *testing.T) {
	effort.TwoProcesses(t)
	needRoot(t, "opening a raw socket")
	transporttest.Run(t, transporttest.Config{URL: "softroce:?icrc=exact", Processes: 2, Effort: 0.3, Only: mostly("setup/", "payload/every size and offset", "atomic/", "walk/")})
}
