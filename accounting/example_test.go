package accounting_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/rfaas-go/rfaas/accounting"
)

// An agent enters what leases have used; bills are made from its ledger.
func Example() {
	folder := must(os.MkdirTemp("", "ledger"))
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "ledger")
	ledger := must(accounting.OpenLedger(path, accounting.LedgerConfig{}))
	defer ledger.Close()

	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, tenant := range []string{"alice", "bob", "alice"} {
		check(ledger.Append(accounting.Entry{
			At: noon.Add(time.Duration(i) * time.Minute), Node: "node1", Epoch: 1, Tenant: tenant, Lease: uint64(i + 1),
			Usage: accounting.Usage{accounting.CoreTime: 90e9, accounting.MemoryTime: 512 * 60_000, accounting.Invocations: 1000},
		}))
	}

	bill := must(accounting.MakeBill(accounting.ReadLedger(path), accounting.By{Tenant: true}, accounting.Filter{Since: noon}))
	check(bill.WriteCSV(os.Stdout))
	// Output:
	// tenant,claimed,core_ns,memory_mib_ms,polled_ns,executed_ns,invocations,in_bytes,out_bytes
	// alice,false,180000000000,61440000,0,0,2000,0,0
	// bob,false,90000000000,30720000,0,0,1000,0,0
}

// An agent makes a page for a worker, which counts in it, usually in a process of its own. What
// it has counted outlives both.
func ExamplePage() {
	folder := must(os.MkdirTemp("", "pages"))
	defer os.RemoveAll(folder)
	file := must(accounting.CreatePage(folder, accounting.PageHeader{Epoch: 1, Lease: 7, Tenant: "alice"}))

	page := must(accounting.MapPage(file.File()))
	page.Add(accounting.Invocations, 1)
	page.Add(accounting.BytesIn, 100)
	page.Add(accounting.Invocations, 1)
	check(page.Close())
	check(file.Close())

	for info, err := range accounting.ListPages(folder) {
		usage := info.Usage
		fmt.Println(info.Header.Tenant, info.Header.Lease, usage[accounting.Invocations], usage[accounting.BytesIn], err)
	}
	// Output: alice 7 2 100 <nil>
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
