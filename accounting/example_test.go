package accounting_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rfaas-go/rfaas/accounting"
)

// An agent enters what leases have used; bills are made from its ledger.
func Example() {
	folder, err := os.MkdirTemp("", "ledger")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "ledger")
	ledger, err := accounting.OpenLedger(path, accounting.LedgerConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ledger.Close()

	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for lease, tenant := range []string{1: "alice", 2: "bob", 3: "alice"} {
		if tenant == "" {
			continue
		}
		err := ledger.Append(accounting.Entry{
			At: noon.Add(time.Duration(lease) * time.Minute), Node: "node1", Epoch: 1, Tenant: tenant, Lease: uint64(lease),
			Usage: accounting.Usage{accounting.CoreTime: 90e9, accounting.MemoryTime: 512 * 60_000, accounting.Invocations: 1000},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
	}

	bill, err := accounting.MakeBill(accounting.ReadLedger(path), accounting.By{Tenant: true}, accounting.Filter{Since: noon})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := bill.WriteCSV(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// tenant,claimed,core_ns,memory_mib_ms,polled_ns,executed_ns,invocations,in_bytes,out_bytes
	// alice,false,180000000000,61440000,0,0,2000,0,0
	// bob,false,90000000000,30720000,0,0,1000,0,0
}
