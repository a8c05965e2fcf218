// Lease cores of the nodes that a manager knows, and call a function there: over the
// transport that the first argument names.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/all"
)

func main() {
	ctx, device := context.Background(), must(transport.Open(os.Args[1]))
	cluster := must(alloc.Open(ctx, alloc.Config{Device: device, Manager: os.Args[2]}))
	workers := must(cluster.Lease(ctx, alloc.Order{Workers: 2}))
	var callers sync.WaitGroup
	for i := range 1000 {
		callers.Go(func() {
			out := make([]byte, 100)
			n := must(workers.Call(ctx, "echo", fmt.Append(nil, "call ", i), out))
			fmt.Printf("%s\n", out[:n])
		})
	}
	callers.Wait()
	workers.Close()
	cluster.Close()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
