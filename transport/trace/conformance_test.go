package trace_test

import (
	"testing"

	"github.com/rfaas-go/rfaas/transport/transporttest"
)

func TestMain(m *testing.M) { transporttest.Main(m) }

// TestConformance: a traced provider is like the provider.
func TestConformance(t *testing.T) {
	transporttest.Run(t, transporttest.Config{URL: "trace+loopback:?records=1000", Connections: 50})
}
