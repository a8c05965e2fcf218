package typed_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/typed"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// Greeting is what both sides know.
type Greeting struct{ Name, Text string }

var greet = typed.New(typed.JSON[Greeting](), typed.JSON[Greeting]())

const codeNobody = 1 // to be greeted

func Example() {
	dev, err := transport.Open("shm:")
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()
	dir, err := os.MkdirTemp("", "typed")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	registry := invoke.NewRegistry()
	err = registry.Register("greet", greet.Function(func(_ context.Context, g Greeting) (Greeting, error) {
		if g.Name == "" {
			return g, &invoke.FunctionError{Code: codeNobody, Message: "nobody is there"}
		}
		g.Text = "hello, " + g.Name
		return g, nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	worker, err := invoke.NewWorker(dev, registry, invoke.WorkerConfig{})
	if err != nil {
		log.Fatal(err)
	}
	address := filepath.Join(dir, "worker")
	listener, err := transport.Listen("unix", address)
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	go worker.Serve(context.Background(), listener)
	defer worker.Shutdown(context.Background())

	ctx := context.Background()
	c, err := client.Dial(ctx, dev, "unix:"+address)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for _, name := range []string{"world", ""} {
		g, err := greet.Call(ctx, c, "greet", Greeting{Name: name})
		if e := (*invoke.Error)(nil); errors.As(err, &e) && e.Code == codeNobody {
			fmt.Println("code", e.Code, e.Message)
		} else if err != nil {
			log.Fatal(err)
		} else {
			fmt.Println(g.Text)
		}
	}
	// Output:
	// hello, world
	// code 1 nobody is there
}
