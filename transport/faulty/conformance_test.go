package faulty_test

import (
	"testing"

	"github.com/rfaas-go/rfaas/internal/effort"
	_ "github.com/rfaas-go/rfaas/transport/shm"
	"github.com/rfaas-go/rfaas/transport/transporttest"
)

func TestMain(m *testing.M) { transporttest.Main(m) }

const (
	benignFaults = "?queue-full=0.2&recv-full=0.2&delay=0.2&wake=0.3"
	fatalFaults  = "?queue-full=0.1&recv-full=0.1&delay=0.1&wake=0.1&status=0.002&loss=0.002"
)

func TestConformanceUnderBenignFaults(t *testing.T) {
	t.Run("loopback", func(t *testing.T) {
		transporttest.Run(t, transporttest.Config{URL: "faulty+loopback:" + benignFaults, Faults: transporttest.FaultsBenign, Effort: effort.Scale()})
	})
	t.Run("shm", func(t *testing.T) {
		effort.TwoProcesses(t)
		transporttest.Run(t, transporttest.Config{URL: "faulty+shm:" + benignFaults, Faults: transporttest.FaultsBenign, Effort: effort.Scale(), Processes: 2})
	})
}

func TestConformanceUnderFatalFaults(t *testing.T) {
	t.Run("loopback", func(t *testing.T) {
		transporttest.Run(t, transporttest.Config{URL: "faulty+loopback:" + fatalFaults, Faults: transporttest.FaultsFatal, Seeds: effort.Of(20, 100)})
	})
	t.Run("shm", func(t *testing.T) {
		effort.TwoProcesses(t)
		transporttest.Run(t, transporttest.Config{URL: "faulty+shm:" + fatalFaults, Faults: transporttest.FaultsFatal, Seeds: effort.Of(20, 100), Processes: 2})
	})
}
