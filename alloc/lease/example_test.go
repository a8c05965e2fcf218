package lease_test

import (
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
)

// The two sides of the protocol, without a network between them: a tenant asks for a
// worker and does not renew, so that the node takes it back.
func Example() {
	node := lease.NewNode(lease.NodeConfig{
		Epoch: 1, Cores: []int{2, 3}, MemoryBytes: 1 << 30, Secret: func() lease.Secret { return lease.Secret{1} },
	})
	client := lease.NewClient()
	const session, now = lease.Session(1), time.Duration(0)
	node.Connect(session, "alice")
	client.Connected(now, 1)

	client.Ask(now, lease.Terms{Workers: 1, Cores: 1, MemoryBytes: 64 << 20, Slots: 16, SlotBytes: 64 << 10, PayloadBytes: 1 << 20}, time.Second)
	for _, m := range client.Messages(nil) {
		fmt.Println("the client sends:", m.Kind, node.Receive(now, session, &m))
	}
	for _, a := range node.Actions(nil) {
		switch a.Do {
		case lease.DoSend:
			fmt.Println("the node sends:", a.Message.Kind, client.Receive(now, &a.Message))
		case lease.DoBegin:
			fmt.Println("the node lets", a.Lease.Tenant, "to core", a.Lease.WorkerCores(0))
		}
	}
	fmt.Println("held:", len(client.Leases()), "free:", node.Free().Cores, "core")

	node.Tick(now + 10*time.Second)
	for _, a := range node.Actions(nil) {
		if a.Do == lease.DoFence { // the processes are ended
			node.Fenced(a.Lease.ID, [lease.UsageWords]uint64{}, false)
		}
	}
	fmt.Println("free later:", node.Free().Cores, "cores")
	// Output:
	// the client sends: request <nil>
	// the node lets alice to core [2]
	// the node sends: grant <nil>
	// held: 1 free: 1 core
	// free later: 2 cores
}
