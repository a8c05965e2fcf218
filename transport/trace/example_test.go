package trace_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
	"github.com/rfaas-go/rfaas/transport/trace"
)

// A device that records what is posted on it and what completes.
func Example() {
	ctx := context.Background()
	device := must(transport.Open("trace+loopback:?records=100"))
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

	must(conn.Post(
		transport.Write(1, region.Span(0, 100), region.Remote(200, 100)),
		transport.FetchAdd(2, region.Span(8, 8), region.Remote(16, 8), 1).With(transport.Signaled)))
	var done [1]transport.Completion
	must(queue.Wait(ctx, done[:], transport.Warm))

	for _, r := range trace.Of(device.Adapter()).Records() {
		fmt.Println(r.Event, r.Op, r.ID, r.Bytes)
	}
	// Output:
	// post write 1 100
	// post fetch-add 2 8
	// done fetch-add 2 0
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
