package transport_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// Two words of a peer's memory: one that all count in, and one that is a lock. What was
// there before comes back into local memory.
func ExampleFetchAdd() {
	device, conn, region, queue := connectToItself()
	defer device.Close()
	counter, lock := region.Remote(0, 8), region.Remote(8, 8)
	former := region.Span(16, 8)
	do := func(request transport.WorkRequest) uint64 {
		_, err := conn.Post(request.With(transport.Signaled))
		check(err)
		waitFor(queue, 1)
		return region.Uint64(16).Load()
	}
	fmt.Println("counted:", do(transport.FetchAdd(1, former, counter, 1)), do(transport.FetchAdd(2, former, counter, 1)))

	const free, mine = 0, 42
	fmt.Println("locked:", do(transport.CompareSwap(3, former, lock, free, mine)) == free)
	fmt.Println("again:", do(transport.CompareSwap(4, former, lock, free, mine)) == free)
	// Output:
	// counted: 0 1
	// locked: true
	// again: false
}

// A connection is drained: it is closed, which flushes what is outstanding, and the
// completions are polled. Then the memory of the requests is the program's again.
func ExampleConn_Close() {
	device, conn, region, queue := connectToItself()
	defer device.Close()
	for id := range uint64(3) { // nobody ever sends
		_, err := conn.PostRecv(transport.Recv(id, region.Span(int(id)*64, 64)))
		check(err)
	}
	check(conn.Close())
	for _, c := range waitFor(queue, 3) {
		fmt.Println(c.Op, c.ID, c.Status)
	}
	fmt.Println(errors.Is(conn.Err(), transport.ErrClosed))
	check(region.Close()) // after the connection, before the device
	// Output:
	// recv 0 flushed
	// recv 1 flushed
	// recv 2 flushed
	// true
}

// A region is revoked: its peers' requests fail from then on.
func ExampleRegion_Close() {
	device, conn, region, queue := connectToItself()
	defer device.Close()
	granted, err := region.Domain().Alloc(64, transport.RemoteWrite)
	check(err)
	span := granted.Remote(0, 64)
	check(granted.Close())

	_, err = conn.Post(transport.Write(1, region.Span(0, 8), span))
	check(err)
	fmt.Println(waitFor(queue, 1)[0].Status)
	// Output: remote access error
}

// A region is held while code has its memory that nobody can wait for. Its rights end
// with Close all the same; the memory is gone with Release.
func ExampleRegion_Hold() {
	device, _, region, _ := connectToItself()
	defer device.Close()
	memory := region.Bytes()
	check(region.Hold())
	check(region.Close())
	memory[0] = 1 // nobody sees it
	fmt.Println("held after Close:", memory[0])
	region.Release()
	fmt.Println("closed:", errors.Is(region.Hold(), transport.ErrClosed))
	// Output:
	// held after Close: 1
	// closed: true
}

// connectToItself makes a connection of which both ends are on one device.
func connectToItself() (*transport.Device, *transport.Conn, *transport.Region, *transport.Queue) {
	ctx := context.Background()
	device, domain, queue := open("loopback:")
	region, err := domain.Alloc(4096, transport.RemoteAll)
	check(err)
	other, err := device.NewQueue(128)
	check(err)
	listener, err := transport.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer listener.Close()
	accepted := make(chan error, 1)
	go func() {
		request, err := listener.Accept(ctx)
		if err == nil {
			_, err = request.Accept(ctx, transport.ConnConfig{Domain: domain, SendQueue: other, RecvQueue: other})
		}
		accepted <- err
	}()
	conn, err := device.Dial(ctx, "tcp", listener.Addr().String(), transport.ConnConfig{Domain: domain, SendQueue: queue, RecvQueue: queue})
	check(err)
	check(<-accepted)
	return device, conn, region, queue
}

// waitFor waits for n completions.
func waitFor(queue *transport.Queue, n int) []transport.Completion {
	done := make([]transport.Completion, n)
	for have := 0; have < n; {
		k, err := queue.Wait(context.Background(), done[have:], transport.Warm)
		check(err)
		have += k
	}
	return done
}
