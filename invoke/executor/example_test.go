package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// A program is the supervisor of itself: its functions run in a process of their own, which is
// this program again. One of them ends that process, and the supervisor knows how.
func Example() {
	ctx := context.Background()
	supervisor := must(executor.New(executor.Config{
		Command: []string{executor.ThisProgram, "executor-example"},
		Setup:   executor.Setup{Transports: []string{"shm:"}},
	}))
	defer supervisor.Close(time.Second)
	process := must(supervisor.Start(ctx, executor.Order{Assignment: executor.Assignment{
		Runtime:   runtime.Go,
		Functions: []executor.Function{{Name: "upper", Entry: "upper"}, {Name: "exit", Entry: "exit"}},
	}}))

	device := must(transport.Open("shm:"))
	defer device.Close()
	client := must(process.Dial(ctx, device, invoke.ClientConfig{}))
	defer client.Close()
	upper, exit := must(client.Function(ctx, "upper")), must(client.Function(ctx, "exit"))
	out := make([]byte, 100)
	n, err := client.Call(ctx, upper, []byte("hello"), out)
	fmt.Println(string(out[:n]), err)

	_, err = client.Call(ctx, exit, nil, nil)
	fmt.Println("the process is gone:", errors.Is(err, invoke.ErrWorkerGone))
	fmt.Println(process.Lost(ctx).Err())
	// Output:
	// HELLO <nil>
	// the process is gone: true
	// invoke: function "exit": crashed: the executor ended with exit status 3 while function "exit" ran
}

// An executor begins as its supervisor does, so a program does this first in main.
func init() {
	if len(os.Args) != 2 || os.Args[1] != "executor-example" {
		return
	}
	host := executor.Host{Functions: map[string]invoke.Function{
		"upper": func(_ context.Context, in, out []byte) (int, error) { return copy(out, bytes.ToUpper(in)), nil },
		"exit":  func(context.Context, []byte, []byte) (int, error) { os.Exit(3); return 0, nil },
	}}
	if err := host.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	os.Exit(0)
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
