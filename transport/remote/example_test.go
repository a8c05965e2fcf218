package remote_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
	"github.com/rfaas-go/rfaas/transport/remote"
)

// A server grants some memory, and a client, which usually is another process, writes
// it, reads it and counts in it.
func Example() {
	ctx := context.Background()
	address, stop := serve(ctx, "loopback:")
	defer stop()

	device := must(transport.Open("loopback:"))
	defer device.Close()
	memory := must(remote.Dial(ctx, device, "tcp", address, remote.Config{}))
	defer memory.Close()
	granted, _ := transport.DecodeRemoteSpan(memory.Conn().Peer().PrivateData)

	greeting, counter := granted.Slice(0, 100), granted.Slice(1000, 8)
	fmt.Println(memory.Write(ctx, greeting, []byte("hello")))
	buf := make([]byte, 5)
	err := memory.Read(ctx, buf, greeting)
	fmt.Println(string(buf), err)
	for range 2 {
		was, err := memory.FetchAdd(ctx, counter, 5)
		fmt.Println(was, err)
	}
	was, err := memory.CompareSwap(ctx, counter, 10, 0)
	fmt.Println(was, err)
	// Output:
	// <nil>
	// hello <nil>
	// 0 <nil>
	// 5 <nil>
	// 10 <nil>
}

// serve grants one client a page of memory.
func serve(ctx context.Context, url string) (address string, stop func()) {
	device := must(transport.Open(url))
	domain, queue := must(device.NewProtectionDomain()), must(device.NewQueue(128))
	page := must(domain.Alloc(4096, transport.RemoteAll))
	listener := must(transport.Listen("tcp", "127.0.0.1:0"))
	accepted := make(chan *transport.Conn, 1)
	go func() {
		accepted <- must(must(listener.Accept(ctx)).Accept(ctx, transport.ConnConfig{
			Domain: domain, SendQueue: queue, RecvQueue: queue,
			PrivateData: page.Remote(0, page.Len()).AppendTo(nil),
		}))
	}()
	return listener.Addr().String(), func() {
		<-accepted
		listener.Close()
		device.Close()
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
