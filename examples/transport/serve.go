package main

import (
	"context"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// slots is how many entries the table has room for.
const slots = 1024

// serve grants clients a table. After that it takes no part: its processor is free, and only
// the device, or its background thread, sees what clients do.
func serve(ctx context.Context, device *transport.Device, network, address string) error {
	domain, err := device.NewProtectionDomain()
	if err != nil {
		return err
	}
	table, err := domain.Alloc(slots*slotBytes, transport.RemoteAll)
	if err != nil {
		return err
	}
	listener, err := transport.Listen(network, address)
	if err != nil {
		return err
	}
	defer listener.Close()
	fmt.Printf("a table of %d entries at %s:%s\n", slots, network, listener.Addr())
	for {
		request, err := listener.Accept(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		go func() {
			if err := grant(ctx, request, domain, table); err != nil {
				fmt.Println("a client that did not connect:", err)
			}
		}()
	}
}

// grant lets a client use the table, until it leaves.
func grant(ctx context.Context, request *transport.Request, domain *transport.ProtectionDomain, table *transport.Region) error {
	queue, err := domain.Device().NewQueue(128) // nothing arrives there, but a connection has one
	if err != nil {
		return err
	}
	defer queue.Close()
	conn, err := request.Accept(ctx, transport.ConnConfig{
		Domain: domain, SendQueue: queue, RecvQueue: queue, PrivateData: table.Remote(0, table.Len()).AppendTo(nil),
	})
	if err != nil {
		return err
	}
	<-conn.Done()
	return conn.Close()
}
