package verbs_test

import (
	"maps"
	"os"
	"testing"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/transporttest"
	_ "github.com/rfaas-go/rfaas/verbs"
)

func TestMain(m *testing.M) { transporttest.Main(m) }

// device is the URL of the RDMA device that the tests run on: the one that ci/rxe
// made, or another that the variable names.
func device(t *testing.T) string {
	t.Helper()
	name := os.Getenv("RXE_DEVICE")
	if name == "" {
		t.Skip("RXE_DEVICE does not name an RDMA device: run this with ci/rxe/run (go test -exec)")
	}
	return "verbs://" + name
}

// instead is how rxe reports errors of copying to and from memory: all alike.
var instead = map[transport.Status]transport.Status{
	transport.StatusLocalLength:          transport.StatusLocalOperation,
	transport.StatusLocalProtection:      transport.StatusLocalOperation,
	transport.StatusRemoteInvalidRequest: transport.StatusRemoteOperation,
}

// excluded is what rxe cannot do (Linux 6.1 and 6.12).
var excluded = map[string]string{
	"failure/a local region closed under a waiting Send":                          "rxe: a queue pair that is waiting for its peer to post a receive when it finds a region gone can stop for good",
	"sharing/hundreds of connections into one queue":                              "rxe: it works through one connection's packets before the next one's, which is not fair",
	"sharing/hundreds of connections into one queue and one shared receive queue": "rxe: who finds no receive waits for a timer while others get those that come, which is not fair",
}

func config(t *testing.T) transporttest.Config {
	cfg := transporttest.Config{
		URL: device(t), MaxBytes: 1 << 20, Connections: 50, Effort: 0.1,
		Instead: instead, RegionsFirst: true, Gentle: true, Exclude: excluded,
	}
	if effort.Whole() {
		cfg.Effort = 0.5
	}
	return cfg
}

func TestConformanceInOneProcess(t *testing.T) {
	effort.OneProcess(t)
	transporttest.Run(t, config(t))
}

func TestConformanceInTwoProcesses(t *testing.T) {
	cfg := config(t)
	cfg.Processes = 2
	if !effort.Whole() {
		cfg.Exclude = maps.Clone(excluded)
		cfg.Exclude["walk/a random walk through all operations agrees with a plain model of memory"] =
			"rxe: with many requests under way its requester can stop for good, sending nothing and without a timer; left to .ci/long"
	}
	transporttest.Run(t, cfg)
}
