// A thousand calls at once. A worker that you end meanwhile takes none along.
package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

func main() {
	ctx, device := context.Background(), must(transport.Open("shm:"))
	workers := must(client.Dial(ctx, device, "unix:@quickstart-one", "unix:@quickstart-two"))
	var callers sync.WaitGroup
	for i := range 1000 {
		callers.Go(func() {
			out := make([]byte, 100)
			n := must(workers.Call(ctx, "upper", fmt.Append(nil, "call ", i), out))
			fmt.Printf("%s\n", out[:n])
		})
	}
	callers.Wait()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
