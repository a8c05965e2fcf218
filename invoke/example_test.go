package invoke_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// A worker and a client; usually they are two processes.
func Example() {
	dir, err := os.MkdirTemp("", "invoke")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	dev, err := transport.Open("shm:")
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()

	// The worker.
	functions := invoke.NewRegistry()
	err = functions.Register("upper", func(_ context.Context, in, out []byte) (int, error) {
		return copy(out, bytes.ToUpper(in)), nil
	}, invoke.Idempotent(true))
	if err != nil {
		log.Fatal(err)
	}
	worker, err := invoke.NewWorker(dev, functions, invoke.WorkerConfig{})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := transport.Listen("unix", filepath.Join(dir, "worker"))
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- worker.Serve(ctx, listener) }()
	defer func() { stop(); <-served }()

	// The client.
	client, err := invoke.Dial(ctx, dev, "unix", filepath.Join(dir, "worker"), invoke.ClientConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	upper, err := client.Function(ctx, "upper")
	if err != nil {
		log.Fatal(err)
	}
	deadline, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out := make([]byte, 100)
	n, err := client.Call(deadline, upper, []byte("hello"), out)
	fmt.Println(string(out[:n]), err)

	// Several calls at once.
	var futures []invoke.Future
	for _, word := range []string{"one", "two", "three"} {
		future, err := client.Go(ctx, upper, []byte(word))
		if err != nil {
			log.Fatal(err)
		}
		futures = append(futures, future)
	}
	for _, future := range futures {
		n, err := future.Wait(ctx, out)
		fmt.Println(string(out[:n]), err)
	}

	// Nothing is copied: the input is written where the transport takes it, the
	// result is read where it was put.
	buffer, err := client.NewBuffer(1<<10, 1<<10)
	if err != nil {
		log.Fatal(err)
	}
	result, err := buffer.Call(ctx, upper, copy(buffer.In(), "in place"))
	fmt.Println(string(result), err)

	_, err = client.Function(ctx, "lower")
	fmt.Println(errors.Is(err, invoke.ErrNotFound))
	// Output:
	// HELLO <nil>
	// ONE <nil>
	// TWO <nil>
	// THREE <nil>
	// IN PLACE <nil>
	// true
}
