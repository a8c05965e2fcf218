package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// work computes blocks for others at an address, until the context ends.
func work(ctx context.Context, device *transport.Device, name string) error {
	functions := invoke.NewRegistry()
	if err := functions.Register("jacobi", compute, invoke.Idempotent(true)); err != nil {
		return err
	}
	worker, err := invoke.NewWorker(device, functions, invoke.WorkerConfig{})
	if err != nil {
		return err
	}
	listener, err := transport.Listen("unix", name)
	if err != nil {
		return err
	}
	defer listener.Close()
	fmt.Println("works at unix:" + name)
	return worker.Serve(ctx, listener)
}

// compute is the function: the input is rows, the metadata say which ones.
func compute(ctx context.Context, in, out []byte) (int, error) {
	var b block
	m := invoke.MetadataOf(ctx)
	for name, field := range map[string]*int{"n": &b.n, "sweeps": &b.sweeps, "from": &b.from, "to": &b.to} {
		v, err := strconv.Atoi(m[name])
		if err != nil || v < 0 || v > 1<<20 {
			return 0, fmt.Errorf("jacobi: %s is %q", name, m[name])
		}
		*field = v
	}
	from, to := b.input()
	if b.from > b.to || b.to > b.n || len(in) != (to-from)*b.n*8 {
		return 0, fmt.Errorf("jacobi: %d bytes are not the rows for %+v", len(in), b)
	}
	n := (b.to - b.from) * b.n * 8
	if n <= len(out) {
		b.compute(in, out)
	}
	return n, nil
}

// metadata say which rows a call is about.
func (b block) metadata() invoke.CallOptions {
	return invoke.CallOptions{Metadata: invoke.Metadata{
		"n": strconv.Itoa(b.n), "sweeps": strconv.Itoa(b.sweeps), "from": strconv.Itoa(b.from), "to": strconv.Itoa(b.to),
	}}
}
