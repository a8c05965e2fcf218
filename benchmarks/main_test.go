package benchmarks

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/rfaas-go/rfaas/invoke/executor"
	_ "github.com/rfaas-go/rfaas/softroce"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

func TestMain(m *testing.M) {
	RunPeerIfAsked()
	if len(os.Args) == 2 && os.Args[1] == "executor" { // of functions: see executor.Config.Command
		h := executor.Host{Runtimes: testRuntimes, Functions: testFunctions}
		if err := h.Run(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")) // executors end at once, with the race detector, too
	os.Exit(m.Run())
}
