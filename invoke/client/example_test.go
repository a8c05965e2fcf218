package client_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// Two workers, which are usually other processes, and a client over them.
func Example() {
	dev, err := transport.Open("shm:")
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()
	dir, err := os.MkdirTemp("", "client")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	defer startWorker(dev, one)()
	defer startWorker(dev, two)()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, dev, "unix:"+one, "unix:"+two)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	// One call.
	out := make([]byte, 100)
	n, err := c.Call(ctx, "upper", []byte("hello"), out)
	fmt.Println(string(out[:n]), err)

	// One that goes on meanwhile.
	future, err := c.Go(ctx, "upper", []byte("later"))
	if err != nil {
		log.Fatal(err)
	}
	result, err := future.Wait(ctx)
	fmt.Println(string(result), err)

	// Many: on both workers, with results in the order of the inputs.
	words := [][]byte{[]byte("one"), []byte("two"), []byte("three")}
	for r, err := range client.Map(ctx, c, "upper", slices.Values(words), client.MapOptions{}) {
		fmt.Println(r.Index, string(r.Output), err)
	}
	// Output:
	// HELLO <nil>
	// LATER <nil>
	// 0 ONE <nil>
	// 1 TWO <nil>
	// 2 THREE <nil>
}

// startWorker serves a function at an address and returns what ends it.
func startWorker(dev *transport.Device, address string) (stop func()) {
	functions := invoke.NewRegistry()
	err := functions.Register("upper", func(_ context.Context, in, out []byte) (int, error) {
		return copy(out, bytes.ToUpper(in)), nil
	}, invoke.Idempotent(true))
	if err != nil {
		log.Fatal(err)
	}
	worker, err := invoke.NewWorker(dev, functions, invoke.WorkerConfig{})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := transport.Listen("unix", address)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- worker.Serve(ctx, listener) }()
	return func() { cancel(); <-served; listener.Close() }
}
