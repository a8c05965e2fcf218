package faulty_test

import (
	"testing"

	"github.com/rfaas-go/rfaas/internal/effort"
	_ "github.com/rfaas-go/rfaas/transport/shm"
	"github.com/rfaas-go/rfaas/transport/transporttest"
)

func TestMain(m *testing.M) { transporttest.Main(m) }

const (
	benignFaults = "?queue-full=0.2&recv-full=0.2&hold=0.2&wake=0.3"
	fatalFaults  = "?queue-full=0.1&recv-full=0.1&hold=0.1&wake=0.1&status=0.002&disconnect=0.002"
	slowNetwork  = "?delay=20us&jitter=10us&seed=1"
)

func TestConformanceUnderBenignFaults(t *testing.T) {
	run(t, benignFaults, transporttest.Config{Faults: transporttest.FaultsBenign, Effort: effort.Scale()})
}

func TestConformanceUnderFatalFaults(t *testing.T) {
	run(t, fatalFaults, transporttest.Config{Faults: transporttest.FaultsFatal, Seeds: effort.Of(20, 100)})
}

// A slow network is no fault: nothing is excused. It waits, and so does less than the others
// unless the effort is whole.
func TestConformanceOverASlowNetwork(t *testing.T) {
	run(t, slowNetwork, transporttest.Config{Effort: effort.Scale() * effort.Scale()})
}

// run runs the suite over loopback, and over shm with two processes.
func run(t *testing.T, faults string, cfg transporttest.Config) {
	t.Run("loopback", func(t *testing.T) {
		cfg.URL = "faulty+loopback:" + faults
		transporttest.Run(t, cfg)
	})
	t.Run("shm", func(t *testing.T) {
		effort.TwoProcesses(t)
		cfg.URL, cfg.Processes = "faulty+shm:"+faults, 2
		transporttest.Run(t, cfg)
	})
}
