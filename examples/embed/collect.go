package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// needed is what a device must have: the program's own loads and stores of a word, and the
// atomics of others, exclude each other.
const needed = transport.FeatureAtomicsCoherent

// Collect takes lines from writers that connect to the listener, until the context ends. Lines of one
// writer come in its order. A writer that dies between taking a place and writing to it holds
// up all that come later.
func Collect(ctx context.Context, device *transport.Device, listener *transport.Listener, take func(line string) error) error {
	if has := device.Capabilities().Features; !has.Has(needed) {
		return fmt.Errorf("the device has %v, and needs %v: shm and softroce have it", has, needed)
	}
	domain, err := device.NewProtectionDomain()
	if err != nil {
		return err
	}
	defer domain.Close()
	ring, err := domain.Alloc(ringBytes, transport.RemoteWrite|transport.RemoteAtomic)
	if err != nil {
		return err
	}
	life, stop := context.WithCancelCause(ctx)
	var ending sync.WaitGroup
	defer ending.Wait() // connections end before the domain
	defer stop(nil)
	ending.Go(func() { stop(admit(life, listener, ring)) })
	for n, idle := uint64(0), time.Now(); life.Err() == nil; {
		line, ok := decode(ring, n)
		if !ok {
			if time.Since(idle) > time.Millisecond { // nothing for a while: the processor is for others
				time.Sleep(50 * time.Microsecond)
			}
			continue
		}
		if err := take(line); err != nil {
			return err
		}
		n++
		ring.Uint64(doneAt).Store(n)
		idle = time.Now()
	}
	if ctx.Err() != nil {
		return nil // it was asked to end
	}
	return context.Cause(life)
}

// admit gives each writer that connects the right to write into the ring.
func admit(ctx context.Context, listener *transport.Listener, ring *transport.Region) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		request, err := listener.Accept(ctx)
		if err != nil {
			return err
		}
		serving.Go(func() {
			if err := serve(ctx, request, ring); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "a writer that did not connect:", err)
			}
		})
	}
}

// serve keeps the connection of a writer until it leaves, or the collector ends.
func serve(ctx context.Context, request *transport.Request, ring *transport.Region) error {
	queue, err := ring.Domain().Device().NewQueue(128) // nothing arrives there, but a connection has one
	if err != nil {
		return err
	}
	defer queue.Close()
	conn, err := request.Accept(ctx, transport.ConnConfig{
		Domain: ring.Domain(), SendQueue: queue, RecvQueue: queue, PrivateData: ring.Remote(0, ringBytes).AppendTo(nil),
	})
	if err != nil {
		return err
	}
	select {
	case <-conn.Done():
	case <-ctx.Done():
	}
	return conn.Close()
}
