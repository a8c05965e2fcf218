// Run `quickstart one` and `quickstart two` in two terminals, and `quickstart` in a
// third one. A worker that you end meanwhile takes no call along.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

func main() {
	ctx, device := context.Background(), must(transport.Open("shm:"))
	if len(os.Args) > 1 { // a worker
		functions := invoke.NewRegistry()
		functions.Register("upper", func(_ context.Context, in, out []byte) (int, error) {
			time.Sleep(time.Millisecond) // as if it were hard
			return copy(out, append(bytes.ToUpper(in), " by "+os.Args[1]...)), nil
		}, invoke.Idempotent(true))
		worker := must(invoke.NewWorker(device, functions, invoke.WorkerConfig{}))
		fmt.Println(worker.Serve(ctx, must(transport.Listen("unix", "@quickstart-"+os.Args[1]))))
		return
	}
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
