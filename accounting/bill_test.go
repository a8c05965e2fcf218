package accounting

import (
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func entriesOf(entries ...Entry) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// calls is an entry with a number of invocations.
func calls(at, node, tenant string, lease, n uint64) Entry {
	return Entry{At: must(time.Parse(time.DateTime, at)), Node: node, Epoch: 1, Tenant: tenant, Lease: lease, Usage: Usage{Invocations: n}}
}

func mustMakeBill(by By, filter Filter, entries ...Entry) Bill {
	return must(MakeBill(entriesOf(entries...), by, filter))
}

// lines is a bill as CSV, without what is 0 after the invocations.
func lines(t testing.TB, b Bill) []string {
	t.Helper()
	var buf strings.Builder
	require.NoError(t, b.WriteCSV(&buf))
	var got []string
	for i, line := range strings.Split(strings.TrimSpace(buf.String()), "\n") {
		if i > 0 {
			line = strings.Replace(strings.TrimSuffix(line, ",0,0"), ",0,0,0,0,", " ", 1)
			got = append(got, line)
		}
	}
	return got
}

var someEntries = []Entry{
	calls("2026-03-01 10:00:00", "n1", "alice", 1, 10),
	calls("2026-03-01 11:00:00", "n2", "alice", 1, 5), // another node's lease 1
	calls("2026-03-01 12:00:00", "n1", "bob", 2, 7),
	calls("2026-03-01 23:59:59", "n1", "alice", 1, 12),
	calls("2026-03-02 00:00:00", "n1", "alice", 1, 13), // belongs to the day that begins
	calls("2026-03-04 10:00:00", "n1", "alice", 1, 20), // after a day of silence
	calls("2026-03-04 11:00:00", "n2", "alice", 3, 100),
}

func TestBillBy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		by   By
		want []string
	}{
		{By{}, []string{"false 132"}},
		{By{Tenant: true}, []string{"alice,false 125", "bob,false 7"}},
		{By{Node: true}, []string{"n1,false 27", "n2,false 105"}},
		{By{Tenant: true, Node: true}, []string{"alice,n1,false 20", "alice,n2,false 105", "bob,n1,false 7"}},
		{By{Lease: true}, []string{"alice,n1,1,1,false 20", "alice,n2,1,1,false 5", "alice,n2,1,3,false 100", "bob,n1,1,2,false 7"}},
		{By{Day: true}, []string{"2026-03-01,false 24", "2026-03-02,false 1", "2026-03-04,false 107"}},
		{By{Day: true, Tenant: true}, []string{"2026-03-01,alice,false 17", "2026-03-01,bob,false 7", "2026-03-02,alice,false 1", "2026-03-04,alice,false 107"}},
		{By{Day: true, Lease: true}, []string{"2026-03-01,alice,n1,1,1,false 12", "2026-03-01,alice,n2,1,1,false 5", "2026-03-01,bob,n1,1,2,false 7",
			"2026-03-02,alice,n1,1,1,false 1", "2026-03-04,alice,n1,1,1,false 7", "2026-03-04,alice,n2,1,3,false 100"}},
	} {
		require.Equal(t, c.want, lines(t, mustMakeBill(c.by, Filter{}, someEntries...)), "%+v", c.by)
	}
}

func TestBillFilter(t *testing.T) {
	t.Parallel()
	at := func(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		filter Filter
		want   []string
	}{
		{Filter{Tenant: "bob"}, []string{"bob,false 7"}},
		{Filter{Tenant: "nobody"}, nil},
		{Filter{Since: at(2, 0)}, []string{"alice,false 108"}},
		{Filter{Until: at(2, 0)}, []string{"alice,false 17", "bob,false 7"}},
		{Filter{Since: at(1, 11), Until: at(1, 12)}, []string{"alice,false 5"}},
		{Filter{Since: at(2, 1), Until: at(4, 11)}, []string{"alice,false 7"}},
		{Filter{Since: at(2, 0).In(time.FixedZone("", -3600)), Until: at(2, 1)}, []string{"alice,false 1"}},
	} {
		require.Equal(t, c.want, lines(t, mustMakeBill(By{Tenant: true}, c.filter, someEntries...)), "%+v", c.filter)
	}
}

// Entries of a tenant as a whole and those of its leases are about the same usage.
func TestBillCountsOnce(t *testing.T) {
	t.Parallel()
	day := "2026-03-01 "
	other := calls(day+"14:00:00", "n1", "alice", 1, 50) // a later life of the agent, without entries of the tenant
	other.Epoch = 2
	entries := []Entry{
		calls(day+"10:00:00", "n1", "alice", 1, 10),
		calls(day+"10:00:00", "n1", "alice", 2, 20),
		calls(day+"10:00:00", "n1", "alice", 0, 31), // what it says counts
		calls(day+"10:00:00", "n1", "bob", 3, 4),
		calls(day+"10:00:00", "n2", "alice", 1, 100),
		other,
	}
	require.Equal(t, []string{"alice,n1,false 81", "alice,n2,false 100", "bob,n1,false 4"},
		lines(t, mustMakeBill(By{Tenant: true, Node: true}, Filter{}, entries...)))
	require.Equal(t, []string{"false 185"}, lines(t, mustMakeBill(By{}, Filter{}, entries...)))
	require.Equal(t, []string{"alice,n1,1,1,false 10", "alice,n1,1,2,false 20", "alice,n1,2,1,false 50", "alice,n2,1,1,false 100", "bob,n1,1,3,false 4"},
		lines(t, mustMakeBill(By{Lease: true}, Filter{}, entries...)))

	// Whether there are entries of the tenant does not depend on the period.
	late := append(entries, calls("2026-03-05 10:00:00", "n1", "alice", 1, 1000))
	require.Empty(t, lines(t, mustMakeBill(By{Tenant: true}, Filter{Since: testTime.AddDate(0, 0, 2)}, late...)))
}

func TestBillKeepsClaimedApart(t *testing.T) {
	t.Parallel()
	claimed := calls("2026-03-01 10:00:00", "n1", "alice", 1, math.MaxUint64)
	claimed.Claimed = true
	again := claimed
	again.Lease = 2
	entries := []Entry{claimed, again, calls("2026-03-01 10:00:00", "n1", "alice", 1, 10), calls("2026-03-01 10:00:00", "n1", "alice", 0, 11)}
	require.Equal(t, []string{"alice,false 11", "alice,true 18446744073709551615"}, lines(t, mustMakeBill(By{Tenant: true}, Filter{}, entries...)))
	require.Equal(t, []string{"alice,n1,1,1,false 10", "alice,n1,1,1,true 18446744073709551615", "alice,n1,1,2,true 18446744073709551615"},
		lines(t, mustMakeBill(By{Lease: true}, Filter{}, entries...)))
}

// A clock that goes back takes nothing from a bill, and adds nothing to one that was made.
func TestBillClockGoesBack(t *testing.T) {
	t.Parallel()
	entries := []Entry{
		calls("2026-03-02 00:10:00", "n1", "alice", 1, 10),
		calls("2026-03-01 23:50:00", "n1", "alice", 1, 15),
		calls("2026-03-02 00:20:00", "n1", "alice", 1, 16),
	}
	require.Equal(t, []string{"2026-03-02,false 16"}, lines(t, mustMakeBill(By{Day: true}, Filter{}, entries...)))
}

// Whatever a bill is by, its sum is the same, and the bills of two periods that meet
// add up to that of both.
func TestBillAddsUp(t *testing.T) {
	t.Parallel()
	const seed = 7
	random := rand.New(rand.NewPCG(seed, 0))
	value := map[series]Usage{}
	var entries []Entry
	for i := range 500 {
		e := Entry{At: testTime.Add(time.Duration(i) * 17 * time.Minute), Node: []string{"n1", "n2"}[random.IntN(2)], Epoch: random.Uint64N(2),
			Tenant: []string{"alice", "bob", "carol"}[random.IntN(3)], Lease: 1 + random.Uint64N(4), Claimed: random.IntN(4) == 0}
		e.Usage = value[e.series()].Add(Usage{random.Uint64N(100), random.Uint64N(100), 0, 0, random.Uint64N(100)})
		value[e.series()] = e.Usage
		entries = append(entries, e)
	}
	sum := func(b Bill) (s Usage) {
		for _, row := range b.Rows {
			s = s.Add(row.Usage)
		}
		return s
	}
	var want Usage
	for _, u := range value {
		want = want.Add(u)
	}
	middle := testTime.Add(70*time.Hour + 11*time.Minute)
	for i := range 16 {
		by := By{Tenant: i&1 > 0, Lease: i&2 > 0, Node: i&4 > 0, Day: i&8 > 0}
		require.Equal(t, want, sum(mustMakeBill(by, Filter{}, entries...)), "seed %d, %+v", seed, by)
		before, after := mustMakeBill(by, Filter{Until: middle}, entries...), mustMakeBill(by, Filter{Since: middle}, entries...)
		require.NotEmpty(t, before.Rows)
		require.NotEmpty(t, after.Rows)
		require.Equal(t, want, sum(before).Add(sum(after)), "seed %d, %+v", seed, by)
	}
}

// Leases that used nothing in the period have no row.
func TestBillLeavesZerosOut(t *testing.T) {
	t.Parallel()
	since := Filter{Since: time.Date(2026, 3, 4, 10, 30, 0, 0, time.UTC)}
	require.Equal(t, []string{"alice,n2,1,3,false 100"}, lines(t, mustMakeBill(By{Lease: true}, since, someEntries...)))
	require.Empty(t, lines(t, mustMakeBill(By{}, Filter{}, calls("2026-03-01 10:00:00", "n1", "alice", 0, 0))))
}

// Days are of UTC, whatever the zone of an entry's time.
func TestBillDaysAreUTC(t *testing.T) {
	t.Parallel()
	e := someEntries[3] // 23:59:59
	for _, hours := range []int{-14, 1, 14} {
		e.At = e.At.In(time.FixedZone("", hours*3600))
		require.Equal(t, []string{"2026-03-01,false 12"}, lines(t, mustMakeBill(By{Day: true}, Filter{}, e)))
	}
}

func TestBillErrors(t *testing.T) {
	t.Parallel()
	good := someEntries[0]
	less := calls("2026-03-01 13:00:00", "n1", "alice", 1, 9)
	_, err := MakeBill(entriesOf(good, less), By{}, Filter{})
	require.ErrorContains(t, err, `entry at 2026-03-01T13:00:00Z: node "n1", epoch 1, tenant "alice", lease 1, measured: invocations went backward, from 10 to 9`)
	hostile := good
	hostile.Tenant = "=cmd|' /C calc'!A0"
	_, err = MakeBill(entriesOf(hostile), By{}, Filter{})
	require.ErrorContains(t, err, "entry: tenant: the name")
	_, err = MakeBill(entriesOf(), By{}, Filter{Tenant: "a,b"})
	require.ErrorContains(t, err, "tenant: the name")
	_, err = MakeBill(entriesOf(), By{}, Filter{Since: testTime, Until: testTime})
	require.ErrorContains(t, err, "since 2026-03-01T12:00:00Z is not before until 2026-03-01T12:00:00Z")
	broken := errors.New("broken")
	_, err = MakeBill(func(yield func(Entry, error) bool) { yield(Entry{}, broken) }, By{}, Filter{})
	require.ErrorIs(t, err, broken)
}

var writtenBill = Bill{
	By: By{Tenant: true, Lease: true, Node: true, Day: true},
	Rows: []Row{
		{Day: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Tenant: "alice", Node: "n<1>", Lease: 12,
			Usage: Usage{1_999_999_999, 1024 * 2500, 30e9, 1e6, 42, 1 << 30, 7}},
		{Day: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Tenant: "bob", Node: "n2", Epoch: math.MaxUint64, Lease: 3, Claimed: true,
			Usage: Usage{BytesOut: math.MaxUint64, CoreTime: math.MaxUint64}},
	},
}

func TestBillTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, writtenBill.WriteTable(&b))
	require.Equal(t, strings.TrimPrefix(`
         day  tenant  node                 epoch  lease  claimed     core-seconds  GiB-seconds  polled-seconds  executed-seconds  invocations    bytes-in             bytes-out
  2026-03-01   alice  n<1>                     0     12    false            1.999        2.500          30.000             0.001           42  1073741824                     7
  2026-03-01     bob    n2  18446744073709551615      3     true  18446744073.709        0.000           0.000             0.000            0           0  18446744073709551615
`, "\n"), b.String())
}

func TestBillCSV(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, writtenBill.WriteCSV(&b))
	require.Equal(t, `day,tenant,node,epoch,lease,claimed,core_ns,memory_mib_ms,polled_ns,executed_ns,invocations,in_bytes,out_bytes
2026-03-01,alice,n<1>,0,12,false,1999999999,2560000,30000000000,1000000,42,1073741824,7
2026-03-01,bob,n2,18446744073709551615,3,true,18446744073709551615,0,0,0,0,0,18446744073709551615
`, b.String())
	require.Len(t, must(csv.NewReader(strings.NewReader(b.String())).ReadAll()), 3)
}

func TestBillJSON(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, writtenBill.WriteJSON(&b))
	require.Equal(t, `{"day":"2026-03-01","tenant":"alice","node":"n\u003c1\u003e","epoch":0,"lease":12,"claimed":false,"core_ns":1999999999,"memory_mib_ms":2560000,"polled_ns":30000000000,"executed_ns":1000000,"invocations":42,"in_bytes":1073741824,"out_bytes":7}
{"day":"2026-03-01","tenant":"bob","node":"n2","epoch":18446744073709551615,"lease":3,"claimed":true,"core_ns":18446744073709551615,"memory_mib_ms":0,"polled_ns":0,"executed_ns":0,"invocations":0,"in_bytes":0,"out_bytes":18446744073709551615}
`, b.String())

	b.Reset()
	require.NoError(t, mustMakeBill(By{}, Filter{}, someEntries...).WriteJSON(&b))
	require.Equal(t, `{"claimed":false,"core_ns":0,"memory_mib_ms":0,"polled_ns":0,"executed_ns":0,"invocations":132,"in_bytes":0,"out_bytes":0}`+"\n", b.String())
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// A bill that MakeBill has not made is checked before anything is written, and errors
// of the writer are returned.
func TestBillWriters(t *testing.T) {
	t.Parallel()
	for what, write := range map[string]func(Bill, io.Writer) error{"table": Bill.WriteTable, "CSV": Bill.WriteCSV, "JSON": Bill.WriteJSON} {
		for _, name := range []string{"a\tb", "a\nb", "a\x1b[2K", "=1+1", `a","b`, "a  5.000"} {
			for _, row := range []Row{{Tenant: name}, {Node: name}} {
				var b strings.Builder
				require.ErrorContains(t, write(Bill{By: By{Tenant: true, Node: true}, Rows: []Row{row}}, &b), "row 0: the name", what)
				require.Empty(t, b.String())
			}
		}
		err := io.ErrClosedPipe
		require.ErrorIs(t, write(writtenBill, brokenWriter{err}), err, what)
	}
}
