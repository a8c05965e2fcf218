package tracing_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/tracing"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// A call is a span at the caller's, and what a worker does for it one below that. Both sides
// are in this process here, with a provider that keeps spans in memory.
func Example() {
	ctx := context.Background()
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
	device := must(transport.Open("shm:"))
	defer device.Close()

	// The worker: each of its functions is wrapped.
	functions := invoke.NewRegistry()
	functions.Wrap(tracing.Wrap(provider))
	check(functions.Register("upper", func(_ context.Context, in, out []byte) (int, error) {
		return copy(out, bytes.ToUpper(in)), nil
	}))
	address, stop := serve(device, functions)
	defer stop()

	// The client: a hook sees each of its calls.
	cl := must(client.DialWith(ctx, device, client.Config{Hooks: []client.Hook{tracing.Hook(provider)}}, "unix:"+address))
	must(cl.Call(ctx, "upper", []byte("hello"), make([]byte, 100)))
	check(cl.Close())

	for _, span := range spans.GetSpans() {
		fmt.Println(span.SpanKind, span.Name, "below another one:", span.Parent.IsValid())
	}
	// Output:
	// server upper below another one: true
	// client upper below another one: false
}

// serve has a worker offer functions at an address.
func serve(device *transport.Device, functions *invoke.Registry) (address string, stop func()) {
	folder := must(os.MkdirTemp("", "tracing"))
	listener := must(transport.Listen("unix", filepath.Join(folder, "worker")))
	worker := must(invoke.NewWorker(device, functions, invoke.WorkerConfig{}))
	served := make(chan error)
	go func() { served <- worker.Serve(context.Background(), listener) }()
	return listener.Addr().String(), func() {
		check(worker.Close())
		<-served
		check(listener.Close())
		check(os.RemoveAll(folder))
	}
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
