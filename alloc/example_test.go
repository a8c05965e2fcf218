package alloc_test

import (
	"context"
	"fmt"
	"os"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
)

// A program leases a worker of a node and calls a function there. The node's agent,
// usually on another machine, is in this process here; its workers are processes.
func Example() {
	ctx := context.Background()
	address, stop := startAgent(ctx)
	defer stop()

	device := must(transport.Open("shm:"))
	defer device.Close()
	client := must(alloc.Open(ctx, alloc.Config{Device: device, Tenant: "alice", Agents: []string{address}}))
	defer client.Close()
	pool := must(client.Lease(ctx, alloc.Order{Workers: 1}))
	out := make([]byte, 100)
	n, err := pool.Call(ctx, "echo", []byte("hello"), out)
	fmt.Println(string(out[:n]), err)
	fmt.Println(pool.Close()) // the cores are free again
	// Output:
	// hello <nil>
	// <nil>
}

// startAgent offers a core, and the function echo for whoever may connect.
func startAgent(ctx context.Context) (address string, stop func()) {
	a := must(agent.New(agent.Config{
		Name: "node", Transports: []string{"shm:"}, Cores: []int{executor.AnyCore}, MemoryBytes: 1 << 30, Epoch: 1,
	}))
	functions := []executor.Function{{Name: "echo", Entry: "echo", Idempotent: true}}
	if err := a.Offer(ctx, [32]byte{}, &agent.Program{Runtime: runtime.Go, Trusted: true, Functions: functions}); err != nil {
		panic(err)
	}
	listener := must(transport.Listen("unix", fmt.Sprintf("@alloc-example-%d", os.Getpid())))
	ctx, end := context.WithCancel(ctx)
	served := make(chan error)
	go func() { served <- a.Serve(ctx, listener) }()
	return "unix:" + listener.Addr().String(), func() {
		end()
		<-served
		listener.Close()
		a.Close()
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
