package loopback_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

// The package is imported for its side effect, and opened by URL. Both ends are in this
// process: one posts a receive, the other one sends a message.
func Example() {
	ctx := context.Background()
	device := must(transport.Open("loopback:"))
	defer device.Close()
	fmt.Println("between processes:", device.Capabilities().Features.Has(transport.FeatureCrossProcess))

	// Each end has a queue; the memory may be shared by them.
	domain := must(device.NewProtectionDomain())
	region := must(domain.Alloc(4096, transport.LocalOnly))
	near, far := must(device.NewQueue(128)), must(device.NewQueue(128))
	listener := must(transport.Listen("tcp", "127.0.0.1:0"))
	defer listener.Close()
	accepted := make(chan *transport.Conn)
	go func() {
		request := must(listener.Accept(ctx))
		accepted <- must(request.Accept(ctx, transport.ConnConfig{Domain: domain, SendQueue: far, RecvQueue: far}))
	}()
	conn := must(device.Dial(ctx, "tcp", listener.Addr().String(), transport.ConnConfig{Domain: domain, SendQueue: near, RecvQueue: near}))
	peer := <-accepted

	must(peer.PostRecv(transport.Recv(1, region.Span(1024, 64))))
	n := copy(region.Bytes(), "hello")
	must(conn.Post(transport.Send(2, region.Span(0, n)).With(transport.Signaled)))
	for _, queue := range []*transport.Queue{near, far} {
		var done [1]transport.Completion
		must(queue.Poll(done[:])) // a request is carried out when it is posted
		fmt.Println(done[0].Op, done[0].ID, done[0].Status, done[0].Bytes)
	}
	fmt.Println(string(region.Bytes()[1024:][:n]))
	// Output:
	// between processes: false
	// send 2 ok 0
	// recv 1 ok 5
	// hello
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
