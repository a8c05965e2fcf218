package manager_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/rfaas-go/rfaas/alloc/manager"
)

// A node registers, and a caller sees it appear.
func Example() {
	m, err := manager.New(manager.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	server := httptest.NewServer(m)
	defer server.Close()
	client, err := manager.NewClient(server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	var view manager.View
	go client.Watch(ctx, &view)
	go client.Keep(ctx, func() manager.Node {
		return manager.Node{
			ID: "node-1", Epoch: 1, Cores: 8, FreeCores: 6, MemoryBytes: 16 << 30, FreeBytes: 12 << 30,
			Addresses: []manager.Address{{Network: "tcp", Address: "10.0.0.1:7000", Transport: "softroce", Wire: "rocev2-rc/1"}},
		}
	}, nil)

	for {
		changed := view.Changed()
		if n, ok := view.Node("node-1"); ok {
			fmt.Printf("%s has %d of %d cores free\n", n.ID, n.FreeCores, n.Cores)
			return
		}
		<-changed
	}
	// Output: node-1 has 6 of 8 cores free
}
