package accounting

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/internal/names"
)

// By says what has rows of its own in a bill. What is not asked for is added up; with
// none of them a bill has one row.
type By struct {
	Tenant bool
	Lease  bool // implies Tenant and Node: a lease is of a node and one of its epochs
	Node   bool
	Day    bool // of UTC
}

// Filter says what is in a bill. The zero value is everything.
type Filter struct {
	Tenant string    // if not empty, only that one
	Since  time.Time // if not zero, what was used from then on
	Until  time.Time // if not zero, what was used before
}

// Bill is what was used in a period.
type Bill struct {
	By   By
	Rows []Row // sorted by day, tenant, node, epoch, lease; measured before claimed
}

// Row is a line of a bill. What the bill is not by is zero.
type Row struct {
	Day     time.Time // its beginning
	Tenant  string
	Node    string
	Epoch   uint64 // of the lease
	Lease   uint64
	Claimed bool // what tenants' code says of itself; other rows are measured
	Usage   Usage
}

// MakeBill makes a bill from the entries of a ledger, most often ReadLedger's. It needs
// all of them, from the beginning, whatever the filter: usage in a period is the
// difference between the last values before its end and the last ones before its
// beginning. So what was used between two entries belongs to the time of the second
// one, and an entry exactly at a boundary to what begins there. Where a clock went
// back, an entry has the time of the one before it.
//
// No usage is counted twice. Rows of leases come from the entries of leases alone. All
// other rows come from the entries of tenants as a whole (lease 0), and where a node
// has none for a tenant in an epoch, from the sum of its leases; measured and claimed
// usage apart. Whether there are any is asked of all entries, not only those of the
// period. Rows in which nothing was used are left out.
//
// The first error of the entries is returned. Values that go backward and names that
// names.Check refuses are errors, too.
func MakeBill(entries iter.Seq2[Entry, error], by By, filter Filter) (Bill, error) {
	if by.Lease {
		by.Tenant, by.Node = true, true
	}
	if err := filter.check(); err != nil {
		return Bill{}, fmt.Errorf("accounting: bill: %w", err)
	}
	b := billing{by: by, filter: filter, last: map[series]Entry{}, rows: map[Row]Usage{}, accounts: map[series]*account{}}
	for e, err := range entries {
		if err == nil {
			err = b.enter(e)
		}
		if err != nil {
			return Bill{}, fmt.Errorf("accounting: bill: %w", err)
		}
	}
	return b.bill(), nil
}

func (f Filter) check() error {
	if f.Tenant != "" {
		if err := names.Check(f.Tenant); err != nil {
			return fmt.Errorf("tenant: %w", err)
		}
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return fmt.Errorf("since %s is not before until %s: nothing can be between", f.Since.Format(time.RFC3339), f.Until.Format(time.RFC3339))
	}
	return nil
}

// has reports whether a time is in the period.
func (f Filter) has(at time.Time) bool {
	return (f.Since.IsZero() || !at.Before(f.Since)) && (f.Until.IsZero() || at.Before(f.Until))
}

// billing is a bill in the making.
type billing struct {
	by       By
	filter   Filter
	last     map[series]Entry
	rows     map[Row]Usage       // of rows without their usage
	accounts map[series]*account // of series of lease 0, when the bill is not by lease
}

// account is the usage of a tenant on a node in an epoch, of one kind, by the beginning
// of the day if the bill is by day. Of its two sums one counts.
type account struct {
	whole        bool // there are entries of the tenant as a whole
	tenant       map[time.Time]Usage
	sumsOfLeases map[time.Time]Usage
}

func (b *billing) enter(e Entry) error {
	if err := e.check(); err != nil {
		return fmt.Errorf("entry: %w", err)
	}
	if b.filter.Tenant != "" && e.Tenant != b.filter.Tenant {
		return nil
	}
	key := e.series()
	last := b.last[key]
	if e.At.Before(last.At) {
		e.At = last.At
	}
	used, err := e.Usage.Sub(last.Usage)
	if err != nil {
		return fmt.Errorf("entry at %s: %v: %w", e.At.Format(time.RFC3339), key, err)
	}
	b.last[key] = e
	if !b.filter.has(e.At) {
		used = Usage{}
	}
	b.use(key, b.day(e.At), used)
	return nil
}

func (b *billing) day(at time.Time) time.Time {
	if !b.by.Day {
		return time.Time{}
	}
	year, month, day := at.UTC().Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

func (b *billing) use(key series, day time.Time, used Usage) {
	if b.by.Lease {
		if key.lease != 0 {
			b.add(key, day, used)
		}
		return
	}
	ofTenant := key
	ofTenant.lease = 0
	a := b.accounts[ofTenant]
	if a == nil {
		a = &account{tenant: map[time.Time]Usage{}, sumsOfLeases: map[time.Time]Usage{}}
		b.accounts[ofTenant] = a
	}
	days := a.sumsOfLeases
	if key.lease == 0 {
		a.whole, days = true, a.tenant
	}
	days[day] = days[day].Add(used)
}

// add adds usage to the row that it belongs to.
func (b *billing) add(key series, day time.Time, used Usage) {
	if used.IsZero() {
		return
	}
	row := Row{Day: day, Claimed: key.claimed}
	if b.by.Tenant {
		row.Tenant = key.tenant
	}
	if b.by.Node {
		row.Node = key.node
	}
	if b.by.Lease {
		row.Epoch, row.Lease = key.epoch, key.lease
	}
	b.rows[row] = b.rows[row].Add(used)
}

func (b *billing) bill() Bill {
	for key, a := range b.accounts {
		days := a.sumsOfLeases
		if a.whole {
			days = a.tenant
		}
		for day, used := range days {
			b.add(key, day, used)
		}
	}
	bill := Bill{By: b.by}
	for row, used := range b.rows {
		row.Usage = used
		bill.Rows = append(bill.Rows, row)
	}
	slices.SortFunc(bill.Rows, compareRows)
	return bill
}

func compareRows(a, b Row) int {
	return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Tenant, b.Tenant),
		series{a.Node, a.Epoch, a.Tenant, a.Lease, a.Claimed}.compare(series{b.Node, b.Epoch, b.Tenant, b.Lease, b.Claimed}))
}
