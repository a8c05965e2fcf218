// Rfaas calls functions on other cores with microsecond latency: see
// `rfaas --help`.
package main

import (
	"os"

	"github.com/rfaas-go/rfaas/benchmarks"
	_ "github.com/rfaas-go/rfaas/transport/all"
)

func main() {
	benchmarks.RunPeerIfAsked()
	os.Exit(execute(os.Args[1:]))
}
