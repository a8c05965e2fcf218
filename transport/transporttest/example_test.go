package transporttest_test

import (
	"testing"

	"github.com/rfaas-go/rfaas/transport/transporttest"
)

// The tests of a provider, which registers the scheme "mine" with package transport. In its
// test file they are functions of these names, and go test runs them; so nothing is run here.
func ExampleRun() {
	TestMain := func(m *testing.M) { transporttest.Main(m) }

	TestOneProcess := func(t *testing.T) {
		transporttest.Run(t, transporttest.Config{URL: "mine:"})
	}
	TestTwoProcesses := func(t *testing.T) {
		transporttest.Run(t, transporttest.Config{URL: "mine:", Processes: 2})
	}

	// With package transport/faulty: what holds when connections are lost and requests fail.
	TestFaults := func(t *testing.T) {
		transporttest.Run(t, transporttest.Config{URL: "faulty+mine:?disconnect=0.002&status=0.002", Faults: transporttest.FaultsFatal})
	}

	// A rule that cannot hold is excluded by its name, and the reason is printed.
	TestNetwork := func(t *testing.T) {
		transporttest.Run(t, transporttest.Config{
			URL: "mine:", PeerURL: "mine:?port=2", Network: "tcp",
			Exclude: map[string]string{"sharing/hundreds of connections into one queue": "the device has 16 queue pairs"},
		})
	}
	_, _, _, _, _ = TestMain, TestOneProcess, TestTwoProcesses, TestFaults, TestNetwork
}
