package words_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/accounting/words"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

// A manager keeps a ledger, and an agent, which usually is another process, adds to its words
// what a tenant has used.
func Example() {
	folder := must(os.MkdirTemp("", "words"))
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "ledger")
	ledger := must(accounting.OpenLedger(path, accounting.LedgerConfig{}))
	defer ledger.Close()
	device := must(transport.Open("loopback:"))
	defer device.Close()
	listener := must(transport.Listen("unix", filepath.Join(folder, "manager")))
	defer listener.Close()

	// The manager. What the words say when it ends is in the ledger.
	server := words.NewServer(words.ServerConfig{Devices: []*transport.Device{device}, Ledger: ledger})
	ctx, end := context.WithCancel(context.Background())
	var manager sync.WaitGroup
	manager.Go(func() { server.Serve(ctx, listener) })
	manager.Go(func() { server.Keep(ctx) })

	// The agent, until the manager has all.
	reporting, reported := context.WithCancel(ctx)
	words.Report(reporting, words.ReporterConfig{
		Device: device, Node: "node1", Epoch: 1,
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", listener.Addr().String())
		},
		Accounts: func() []words.Account {
			return []words.Account{{Epoch: 1, Tenant: "alice", Measured: accounting.Usage{accounting.CoreTime: 90e9, accounting.Invocations: 1000}}}
		},
		Told: func(words.Account) { reported() },
	})

	end()
	manager.Wait()
	for entry, err := range accounting.ReadLedger(path) {
		fmt.Println(entry.Node, entry.Tenant, entry.Usage[accounting.CoreTime], entry.Usage[accounting.Invocations], err)
	}
	// Output: node1 alice 90000000000 1000 <nil>
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
