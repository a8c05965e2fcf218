package verbs_test

import (
	"os"
	"testing"

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

func TestConformanceInOneProcess(t *testing.T) {
	transporttest.Run(t, transporttest.Config{URL: device(t), MaxBytes: 1 << 20, Connections: 50, Effort: 0.3, Instead: instead})
}

func TestConformanceInTwoProcesses(t *testing.T) {
	transporttest.Run(t, transporttest.Config{URL: device(t), Processes: 2, MaxBytes: 1 << 20, Connections: 50, Effort: 0.3, Instead: instead})
}
