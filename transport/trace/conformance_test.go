package trace_test

import (
	"testing"

	"github.com/rfaas-go/rfaas/internal/effort"
	_ "github.com/rfaas-go/rfaas/transport/shm"
	"github.com/rfaas-go/rfaas/transport/transporttest"
)

func TestMain(m *testing.M) { transporttest.Main(m) }

// TestConformance: a traced provider is like the provider.
func TestConformance(t *testing.T) {
	for url, processes := range map[string]int{"trace+loopback:?records=1000": 1, "trace+shm:?records=1000": 2} {
		t.Run(url, func(t *testing.T) {
			if processes == 2 {
				effort.TwoProcesses(t)
			}
			cfg := transporttest.Config{URL: url, Processes: processes, Connections: 50, Effort: effort.Scale()}
			if !effort.Whole() { // what passes through the decorator, and what may go wrong there
				cfg.Only = []string{"payload/", "queue/", "failure/", "close/", "walk/", "allocations/", "death/"}
			}
			transporttest.Run(t, cfg)
		})
	}
}
