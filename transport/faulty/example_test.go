package faulty_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/faulty"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

// A device that fails some request, the same one in each run with the seed, and a
// program that finds out what it does then.
func Example() {
	ctx := context.Background()
	device := must(transport.Open("faulty+loopback:?seed=7&status=0.05"))
	defer device.Close()
	domain, queue := must(device.NewProtectionDomain()), must(device.NewQueue(256))
	region := must(domain.Alloc(4096, transport.RemoteAll))
	config := transport.ConnConfig{Domain: domain, SendQueue: queue, RecvQueue: queue}

	// It is connected to itself.
	listener := must(transport.Listen("tcp", "127.0.0.1:0"))
	defer listener.Close()
	accepted := make(chan *transport.Conn)
	go func() { accepted <- must(must(listener.Accept(ctx)).Accept(ctx, config)) }()
	conn := must(device.Dial(ctx, "tcp", listener.Addr().String(), config))
	<-accepted

	failed := func() bool {
		must(conn.Post(transport.Write(1, region.Span(0, 8), region.Remote(8, 8)).With(transport.Signaled)))
		var done [1]transport.Completion
		must(queue.Wait(ctx, done[:], transport.Warm))
		return done[0].Status != transport.StatusOK && done[0].Vendor == faulty.Vendor
	}
	for !failed() {
	}
	<-conn.Done()
	counts, _ := faulty.Injected(device.Adapter())
	fmt.Println("injected:", counts.Status)
	// Output: injected: 1
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
