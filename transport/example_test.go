package transport_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

// A server hands a client a piece of its memory, and the client writes to it.
// The two are in one process here; with "shm:" they may be two.
func Example() {
	ctx := context.Background()

	// The server: memory that peers may write, and a place to connect to.
	server, serverDomain, serverQueue := open("loopback:")
	defer server.Close()
	memory, err := serverDomain.Alloc(4096, transport.RemoteWrite)
	check(err)
	listener, err := transport.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer listener.Close()
	accepted := make(chan error, 1)
	go func() {
		request, err := listener.Accept(ctx)
		if err == nil {
			_, err = request.Accept(ctx, transport.ConnConfig{
				Domain: serverDomain, SendQueue: serverQueue, RecvQueue: serverQueue,
				PrivateData: memory.Remote(0, memory.Len()).AppendTo(nil),
			})
		}
		accepted <- err
	}()

	// The client: it connects and learns where it may write.
	client, domain, queue := open("loopback:")
	defer client.Close()
	conn, err := client.Dial(ctx, "tcp", listener.Addr().String(), transport.ConnConfig{
		Domain: domain, SendQueue: queue, RecvQueue: queue,
	})
	check(err)
	check(<-accepted)
	remote, ok := transport.DecodeRemoteSpan(conn.Peer().PrivateData)
	fmt.Println("granted:", ok, remote.Len)

	// It writes, and polls until the write is done.
	local, err := domain.Alloc(4096, transport.LocalOnly)
	check(err)
	n := copy(local.Bytes(), "hello")
	_, err = conn.Post(transport.Write(1, local.Span(0, n), remote).With(transport.Signaled))
	check(err)
	var done [1]transport.Completion
	for polled := 0; polled == 0; {
		polled, err = queue.Poll(done[:])
		check(err)
	}
	check(done[0].Err())
	fmt.Println("request", done[0].ID, "is done:", string(memory.Bytes()[:n]))
	// Output:
	// granted: true 4096
	// request 1 is done: hello
}

// open opens a device with what a connection needs.
func open(url string) (*transport.Device, *transport.ProtectionDomain, *transport.Queue) {
	device, err := transport.Open(url)
	check(err)
	domain, err := device.NewProtectionDomain()
	check(err)
	queue, err := device.NewQueue(256)
	check(err)
	return device, domain, queue
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
