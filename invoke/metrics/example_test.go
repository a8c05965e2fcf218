package metrics_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/metrics"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// Calls are counted at the caller's and at the worker's, and Prometheus asks for them over
// HTTP. Both sides are in this process here, and have one registry.
func Example() {
	ctx := context.Background()
	registry := prometheus.NewRegistry()
	device := must(transport.Open("shm:"))
	defer device.Close()

	// The worker: each of its functions is wrapped.
	functions := invoke.NewRegistry()
	functions.Wrap(must(metrics.Wrap(registry)))
	check(functions.Register("upper", func(_ context.Context, in, out []byte) (int, error) {
		return copy(out, bytes.ToUpper(in)), nil
	}))
	worker := must(invoke.NewWorker(device, functions, invoke.WorkerConfig{}))
	address, stop := serve(worker)
	defer stop()

	// The client: a hook sees each of its calls.
	cl := must(client.DialWith(ctx, device, client.Config{Hooks: []client.Hook{must(metrics.Hook(registry))}}, "unix:"+address))
	defer cl.Close()
	check(registry.Register(metrics.Client(cl.Stats)))
	check(registry.Register(metrics.Worker(worker.Stats)))
	for range 3 {
		must(cl.Call(ctx, "upper", []byte("hello"), make([]byte, 100)))
	}

	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer server.Close()
	response := must(server.Client().Get(server.URL))
	defer response.Body.Close()
	for line := range strings.Lines(string(must(io.ReadAll(response.Body)))) {
		if strings.Contains(line, "_input_bytes_total{") || strings.Contains(line, "_call_seconds_count{") {
			fmt.Print(line)
		}
	}
	// Output:
	// rfaas_client_call_seconds_count{function="upper",status="ok"} 3
	// rfaas_client_input_bytes_total{function="upper"} 15
	// rfaas_worker_call_seconds_count{function="upper",status="ok"} 3
	// rfaas_worker_input_bytes_total{function="upper"} 15
}

// serve has a worker serve whoever connects.
func serve(worker *invoke.Worker) (address string, stop func()) {
	folder := must(os.MkdirTemp("", "metrics"))
	listener := must(transport.Listen("unix", filepath.Join(folder, "worker")))
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
