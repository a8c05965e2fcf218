package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/remote"
)

// Writer writes lines into a collector's memory. One goroutine at a time uses it.
type Writer struct {
	memory *remote.Memory
	ring   transport.RemoteSpan
	done   uint64 // lines that the collector had taken out when it was last looked at
}

// Dial connects to a collector.
func Dial(ctx context.Context, device *transport.Device, network, address string) (*Writer, error) {
	memory, err := remote.Dial(ctx, device, network, address, remote.Config{})
	if err != nil {
		return nil, err
	}
	ring, ok := transport.DecodeRemoteSpan(memory.Conn().Peer().PrivateData)
	if !ok || ring.Len != ringBytes {
		return nil, errors.Join(errors.New("this is no collector of lines"), memory.Close())
	}
	return &Writer{memory: memory, ring: ring}, nil
}

// Close ends the connection.
func (w *Writer) Close() error { return w.memory.Close() }

// Write writes a line. While the ring is full it waits.
func (w *Writer) Write(ctx context.Context, line string) error {
	if len(line) > MaxLineBytes {
		return fmt.Errorf("a line of %d bytes; at most %d", len(line), MaxLineBytes)
	}
	n, err := w.memory.FetchAdd(ctx, w.ring.Slice(takenAt, 8), 1)
	for err == nil && n-w.done >= places {
		runtime.Gosched()
		w.done, err = w.memory.FetchAdd(ctx, w.ring.Slice(doneAt, 8), 0)
	}
	if err != nil {
		return err
	}
	bytes := encode(line)
	if err := w.memory.Write(ctx, w.ring.Slice(place(n), len(bytes)), bytes); err != nil {
		return err
	}
	_, err = w.memory.CompareSwap(ctx, w.ring.Slice(place(n)+sequenceAt, 8), before(n), n+1)
	return err
}
