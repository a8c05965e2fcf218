// Run `quickstart worker` in one terminal and `quickstart` in another.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

func main() {
	ctx, device := context.Background(), must(transport.Open("shm:"))
	if len(os.Args) > 1 { // the worker
		functions := invoke.NewRegistry()
		functions.Register("upper", func(_ context.Context, in, out []byte) (int, error) { return copy(out, bytes.ToUpper(in)), nil })
		worker := must(invoke.NewWorker(device, functions, invoke.WorkerConfig{}))
		fmt.Println(worker.Serve(ctx, must(device.Listen("unix", "@quickstart"))))
		return
	}
	client := must(invoke.Dial(ctx, device, "unix", "@quickstart", invoke.ClientConfig{}))
	upper, out := must(client.Function(ctx, "upper")), make([]byte, 100)
	n := must(client.Call(ctx, upper, []byte("hello from another process"), out))
	fmt.Println(string(out[:n]))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
