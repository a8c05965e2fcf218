package loopback_test

import (
	"testing"

	_ "github.com/rfaas-go/rfaas/transport/loopback"
	"github.com/rfaas-go/rfaas/transport/transporttest"
)

func TestMain(m *testing.M) { transporttest.Main(m) }

func TestConformance(t *testing.T) {
	transporttest.Run(t, transporttest.Config{URL: "loopback:"})
}
