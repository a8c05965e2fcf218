package shm_test

import (
	"testing"

	"github.com/rfaas-go/rfaas/internal/effort"
	_ "github.com/rfaas-go/rfaas/transport/shm"
	"github.com/rfaas-go/rfaas/transport/transporttest"
)

func TestMain(m *testing.M) { transporttest.Main(m) }

func TestConformanceInOneProcess(t *testing.T) {
	effort.OneProcess(t)
	transporttest.Run(t, transporttest.Config{URL: "shm:", Effort: effort.Scale()})
}

func TestConformanceInTwoProcesses(t *testing.T) {
	effort.TwoProcesses(t)
	transporttest.Run(t, transporttest.Config{URL: "shm:", Processes: 2, Effort: effort.Scale()})
}
