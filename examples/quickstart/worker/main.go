// Run `worker one` and `worker two`, in two terminals.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

func main() {
	functions, device := invoke.NewRegistry(), must(transport.Open("shm:"))
	functions.Register("upper", func(_ context.Context, in, out []byte) (int, error) {
		time.Sleep(time.Millisecond) // as if it were hard
		return copy(out, append(bytes.ToUpper(in), " by "+os.Args[1]...)), nil
	}, invoke.Idempotent(true))
	worker := must(invoke.NewWorker(device, functions, invoke.WorkerConfig{}))
	fmt.Println(worker.Serve(context.Background(), must(transport.Listen("unix", "@quickstart-"+os.Args[1]))))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
