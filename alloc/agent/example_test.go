package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// A node offers two cores and a function of its program's. A tenant, usually on another
// machine, leases one of the cores and calls the function there.
func Example() {
	ctx, end := context.WithCancel(context.Background())
	folder := must(os.MkdirTemp("", "agent"))
	defer os.RemoveAll(folder)
	node := must(agent.New(agent.Config{
		Name: "node1", Transports: []string{"shm:"}, Cores: []int{executor.AnyCore, executor.AnyCore}, MemoryBytes: 4 << 30,
		Epoch: 1, Command: []string{executor.ThisProgram, "agent-example"},
	}))
	defer node.Close()
	check(node.Offer(ctx, [32]byte{}, &agent.Program{
		Runtime: runtime.Go, Trusted: true, Functions: []executor.Function{{Name: "upper", Entry: "upper"}},
	}))
	listener := must(transport.Listen("unix", filepath.Join(folder, "agent")))
	defer listener.Close()
	served := make(chan error)
	go func() { served <- node.Serve(ctx, listener) }()
	defer func() { end(); <-served }()

	device := must(transport.Open("shm:"))
	defer device.Close()
	tenant := must(alloc.Open(ctx, alloc.Config{Device: device, Tenant: "alice", Agents: []string{"unix:" + listener.Addr().String()}}))
	defer tenant.Close()
	pool := must(tenant.Lease(ctx, alloc.Order{Workers: 1}))
	out := make([]byte, 100)
	n, err := pool.Call(ctx, "upper", []byte("hello"), out)
	fmt.Println(string(out[:n]), err)
	for _, lease := range node.Leases() {
		fmt.Println(lease.Tenant, "has", lease.Cores, "of", lease.Cores+node.Free().Cores, "cores:", lease.State)
	}
	check(pool.Close())
	// Output:
	// HELLO <nil>
	// alice has 1 of 2 cores: granted
}

// Workers are processes, and this program again: a program does this first in main.
func init() {
	if len(os.Args) != 2 || os.Args[1] != "agent-example" {
		return
	}
	host := executor.Host{NewMeter: agent.NewMeter, Functions: map[string]invoke.Function{
		"upper": func(_ context.Context, in, out []byte) (int, error) { return copy(out, bytes.ToUpper(in)), nil },
	}}
	check(host.Run(context.Background()))
	os.Exit(0)
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
