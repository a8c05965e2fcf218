package benchmarks

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	RunPeerIfAsked()
	os.Exit(m.Run())
}
