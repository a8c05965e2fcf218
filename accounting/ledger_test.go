package accounting

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// testEntry is the nth entry of tests; all are of one series.
func testEntry(n int) Entry {
	return Entry{At: testTime.Add(time.Duration(n) * time.Minute), Node: "n1", Epoch: 7, Tenant: "alice", Lease: 3,
		Usage: Usage{CoreTime: uint64(n+1) * 1e9, Invocations: uint64(n)}}
}

func testEntries(from, to int) (e []Entry) {
	for n := from; n < to; n++ {
		e = append(e, testEntry(n))
	}
	return e
}

func mustOpenLedger(t testing.TB, path string) *Ledger {
	t.Helper()
	l, err := OpenLedger(path, LedgerConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// readAll reads up to the first error.
func readAll(path string) (entries []Entry, err error) {
	for e, err := range ReadLedger(path) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// requireEntries checks what a ledger has.
func requireEntries(t testing.TB, path string, want []Entry) {
	t.Helper()
	got, err := readAll(path)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// writeLedger makes a ledger with appends of these sizes and returns its bytes.
func writeLedger(t testing.TB, appends ...int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger")
	l := mustOpenLedger(t, path)
	n := 0
	for _, size := range appends {
		require.NoError(t, l.Append(testEntries(n, n+size)...))
		n += size
	}
	b := must(os.ReadFile(path))
	require.Len(t, b, 16+224*n)
	return b
}

func TestLedgerAppendAndRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l := mustOpenLedger(t, path)
	requireEntries(t, path, nil)
	require.NoError(t, l.Append())

	entries := []Entry{
		testEntry(0),
		{At: testTime, Node: "n1", Epoch: 7, Tenant: "alice", Lease: 3, Claimed: true, Usage: Usage{ExecutedTime: 1}},
		{At: testTime, Node: "n1", Epoch: 7, Tenant: "alice", Usage: Usage{CoreTime: 5}},
		{At: testTime, Node: strings.Repeat("n", 64), Epoch: 8, Tenant: strings.Repeat("t", 64), Lease: 3, Usage: Usage{BytesOut: 1<<64 - 1}},
		testEntry(1),
		testEntry(2),
	}
	require.NoError(t, l.Append(entries[:2]...))
	local := entries[2]
	local.At = local.At.In(time.FixedZone("", 3600)).Add(999 * time.Millisecond)
	require.NoError(t, l.Append(local))
	require.NoError(t, l.Append(entries[3:]...))
	requireEntries(t, path, entries)

	totals := []Entry{entries[2], entries[5], entries[1], entries[3]}
	require.Equal(t, totals, l.Totals())
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Append(testEntry(3)), os.ErrClosed)

	l = mustOpenLedger(t, path)
	require.Equal(t, totals, l.Totals())
	require.NoError(t, l.Append(testEntry(3)))
	requireEntries(t, path, append(entries, testEntry(3)))

	for e := range ReadLedger(path) {
		require.Equal(t, entries[0], e, "a reader may stop")
		break
	}
}

// The bytes of a ledger, written down independently of the encoder; the checksum is
// that of another implementation of CRC-32C.
func TestLedgerLayout(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l := mustOpenLedger(t, path)
	require.NoError(t, l.Append(testEntry(0)))
	require.NoError(t, l.Append(Entry{At: time.Unix(0x65000000, 0), Node: "node", Epoch: 0x1122, Tenant: "bob", Lease: 0x3344,
		Claimed: true, Usage: Usage{1, 2, 3, 4, 5, 6, 7}}))
	b := must(os.ReadFile(path))
	require.Equal(t, "rfaas ledger  1\n", string(b[:16]))
	var words string
	for q := range 7 {
		words += fmt.Sprintf("%02x", q+1) + strings.Repeat("00", 7)
	}
	require.Equal(t, "01000000"+"0100000000000000"+"0000006500000000"+"2211000000000000"+"4433000000000000"+words+
		fmt.Sprintf("%x", "node")+strings.Repeat("00", 60)+fmt.Sprintf("%x", "bob")+strings.Repeat("00", 61), fmt.Sprintf("%x", b[16+224+4:]))
	crc := ^uint32(0)
	for _, v := range b[16+224+4:] {
		crc ^= uint32(v)
		for range 8 {
			crc = crc>>1 ^ 0x82F63B78&-(crc&1)
		}
	}
	crc = ^crc
	require.Equal(t, []byte{byte(crc), byte(crc >> 8), byte(crc >> 16), byte(crc >> 24)}, b[16+224:16+224+4])
}

func TestLedgerRefuses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l := mustOpenLedger(t, path)
	require.NoError(t, l.Append(testEntry(5)))
	before := must(os.ReadFile(path))
	change := func(f func(e *Entry)) Entry {
		e := testEntry(6)
		f(&e)
		return e
	}
	for _, c := range []struct {
		why     string
		entries []Entry
	}{
		{"entry 0: node: the name is empty", []Entry{change(func(e *Entry) { e.Node = "" })}},
		{"entry 1: tenant: the name", []Entry{testEntry(6), change(func(e *Entry) { e.Tenant = "a,b" })}},
		{"must be after 1970", []Entry{change(func(e *Entry) { e.At = time.Time{} })}},
		{"before 10000", []Entry{change(func(e *Entry) { e.At = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) })}},
		{`entry 0: node "n1", epoch 7, tenant "alice", lease 3, measured: core_ns went backward, from 6000000000 to 5000000000`, []Entry{testEntry(4)}},
		{"entry 2: node", []Entry{testEntry(6), testEntry(8), testEntry(7)}}, // within one append
	} {
		err := l.Append(c.entries...)
		require.ErrorContains(t, err, c.why)
		require.ErrorContains(t, err, path)
	}
	require.Equal(t, before, must(os.ReadFile(path)))
	require.Equal(t, testEntries(5, 6), l.Totals())
	require.NoError(t, l.Append(testEntry(5)), "an entry that comes twice is none that goes backward")
}

func TestLedgerLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l := mustOpenLedger(t, path)
	_, err := OpenLedger(path, LedgerConfig{})
	require.ErrorIs(t, err, ErrLedgerInUse)
	require.ErrorContains(t, err, path)

	// A child process between fork and exec has the file open, too.
	inherited := must(unix.Dup(int(l.file.(diskFile).Fd())))
	defer unix.Close(inherited)
	require.NoError(t, l.Close())
	mustOpenLedger(t, path)
}

// A reader does not look at what is appended after it began.
func TestLedgerReadsUpToSize(t *testing.T) {
	t.Parallel()
	b := writeLedger(t, 1, 1, 1)
	for n := range 4 {
		for _, size := range []int64{recordAt(uint64(n)), recordAt(uint64(n)) + 100} {
			require.EqualValues(t, n, must(scanLedger(bytes.NewReader(b), size, func(uint64, Entry) error { return nil })))
		}
	}
	b[recordAt(1)]++
	require.EqualValues(t, 1, must(scanLedger(bytes.NewReader(b), recordAt(2), func(uint64, Entry) error { return nil })))
}

// Of many that make one ledger at the same time, one has it.
func TestLedgerMadeByMany(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	ledgers, errs := make([]*Ledger, 8), make([]error, 8)
	var wg sync.WaitGroup
	for i := range ledgers {
		wg.Go(func() { ledgers[i], errs[i] = OpenLedger(path, LedgerConfig{}) })
	}
	wg.Wait()
	opened := 0
	for i, l := range ledgers {
		if l != nil {
			opened++
			require.NoError(t, l.Close())
			continue
		}
		require.ErrorIs(t, errs[i], ErrLedgerInUse)
	}
	require.Equal(t, 1, opened)
	require.Len(t, must(os.ReadDir(filepath.Dir(path))), 1)
}

func TestLedgerAppendedByMany(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	l := mustOpenLedger(t, path)
	var wg sync.WaitGroup
	for lease := range 8 {
		wg.Go(func() {
			for n := range 10 {
				e := testEntry(n)
				e.Lease = uint64(lease)
				if err := l.Append(e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 { // meanwhile
		must(readAll(path))
	}
	wg.Wait()
	require.Len(t, must(readAll(path)), 80)
	require.Len(t, l.Totals(), 8)
}

// A file that is no ledger is left as it is.
func TestLedgerOddFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	_, err := OpenLedger(filepath.Join(folder, "missing", "ledger"), LedgerConfig{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = OpenLedger(folder, LedgerConfig{})
	require.ErrorIs(t, err, unix.EISDIR)
	_, err = readAll(filepath.Join(folder, "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	for content, why := range map[string]string{
		"":                   "at byte 0",
		"rfaas ledger  ":     "at byte 0",
		"rfaas ledger  2\n":  "this program reads version 1",
		"day,tenant,core_ns": "it is no ledger",
	} {
		path := filepath.Join(folder, "file")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := OpenLedger(path, LedgerConfig{})
		require.ErrorIs(t, err, ErrLedgerDamaged)
		require.ErrorContains(t, err, why)
		require.ErrorContains(t, err, path)
		_, err = readAll(path)
		require.ErrorIs(t, err, ErrLedgerDamaged)
		require.Equal(t, content, string(must(os.ReadFile(path))))
	}
}

// rewrite replaces a file: file systems take time to write over one.
func rewrite(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// reopen writes b to a file, reads it as a reader and opens it, and appends.
func reopen(t testing.TB, path string, b []byte, want int) (log string) {
	t.Helper()
	rewrite(t, path, b)
	requireEntries(t, path, testEntries(0, want))

	var buf bytes.Buffer
	l, err := OpenLedger(path, LedgerConfig{Logger: slog.New(slog.NewTextHandler(&buf, nil))})
	require.NoError(t, err)
	require.Equal(t, testEntries(want-1, want), l.Totals())
	l.file = unsynced{l.file} // what is durable is not seen here, and takes time
	require.NoError(t, l.Append(testEntry(want)))
	require.NoError(t, l.Close())
	requireEntries(t, path, testEntries(0, want+1))
	return buf.String()
}

type unsynced struct{ ledgerFile }

func (unsynced) Datasync() error { return nil }

// A crash at any byte of an append leaves what was there before, and the first whole
// entries of it.
func TestLedgerCutAnywhere(t *testing.T) {
	t.Parallel()
	whole := writeLedger(t, 1, 2, 1, 2) // the last two appends are records 3, and 4 and 5
	path := filepath.Join(t.TempDir(), "ledger")
	for size := int(recordAt(3)); size <= len(whole); size++ {
		want := (size - 16) / 224
		log := reopen(t, path, whole[:size], want)
		if (size-16)%224 == 0 {
			require.Empty(t, log)
		} else {
			require.Contains(t, log, "level=WARN")
			require.Contains(t, log, fmt.Sprintf("offset=%d bytes=%d", 16+224*want, (size-16)%224))
		}
	}
}

// The blocks of an append can reach the disk in any order.
func TestLedgerTornInAnyOrder(t *testing.T) {
	t.Parallel()
	whole := writeLedger(t, 2, 3)
	path := filepath.Join(t.TempDir(), "ledger")
	for lost := 1; lost < 8; lost++ { // a bit for each record of the last append
		b := bytes.Clone(whole)
		want := 5
		for i := 2; i >= 0; i-- {
			if lost>>i&1 == 1 {
				clear(b[recordAt(uint64(2+i)):recordAt(uint64(3+i))])
				want = 2 + i
			}
		}
		require.Contains(t, reopen(t, path, b, want), fmt.Sprintf("offset=%d ", 16+224*want))
	}
	require.Contains(t, reopen(t, path, append(bytes.Clone(whole), make([]byte, 999)...), 5), "bytes=999")
}

// Damage is an error and changes nothing, except in the last append, where it looks
// like a crash.
func TestLedgerFlipEveryByte(t *testing.T) {
	t.Parallel()
	whole := writeLedger(t, 1, 2, 1)
	path := filepath.Join(t.TempDir(), "ledger")
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1 << (i % 8)
		if i >= int(recordAt(3)) {
			require.Contains(t, reopen(t, path, b, 3), "bytes=224")
			continue
		}
		rewrite(t, path, b)
		_, err := OpenLedger(path, LedgerConfig{})
		require.ErrorIs(t, err, ErrLedgerDamaged, "byte %d", i)
		good := 0
		if i >= 16 {
			good = (i - 16) / 224
			require.ErrorContains(t, err, fmt.Sprintf("truncate --size=%d", 16+224*good))
		}
		got, err := readAll(path)
		require.ErrorIs(t, err, ErrLedgerDamaged)
		require.Equal(t, testEntries(0, good), append([]Entry(nil), got...))
		require.Equal(t, b, must(os.ReadFile(path)))
	}
}

// Records whose checksums are right, and that no Append would have written.
func TestLedgerImpossibleRecords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	build := func(records ...record) []byte {
		b := []byte(ledgerHeader)
		for _, r := range records {
			b = r.append(b)
		}
		return b
	}
	bad := testEntry(1)
	bad.Tenant = "a,b"
	require.NoError(t, os.WriteFile(path, build(record{testEntry(0), 0}, record{bad, 1}, record{testEntry(2), 2}), 0o600))
	_, err := OpenLedger(path, LedgerConfig{})
	require.ErrorContains(t, err, "the record at byte 240 is bad")

	for _, at := range []int{recordClaimedAt, recordClaimedAt + 1, recordNodeAt + 10, recordBytes - 1} { // bytes that must be 0, or 1
		b := build(record{testEntry(0), 0}, record{testEntry(1), 1})
		first := b[recordAt(0):recordAt(1)]
		first[at] = 2
		binary.LittleEndian.PutUint32(first, crc32.Checksum(first[4:], crc32.MakeTable(crc32.Castagnoli)))
		require.NoError(t, os.WriteFile(path, b, 0o600))
		_, err := OpenLedger(path, LedgerConfig{})
		require.ErrorContains(t, err, "the record at byte 16 is bad")
	}

	require.NoError(t, os.WriteFile(path, build(record{testEntry(1), 0}, record{testEntry(0), 1}), 0o600))
	_, err = OpenLedger(path, LedgerConfig{})
	require.ErrorIs(t, err, ErrLedgerDamaged)
	require.ErrorContains(t, err, "the record at byte 240: node \"n1\", epoch 7, tenant \"alice\", lease 3, measured: core_ns went backward")

	reopen(t, path, build(record{testEntry(0), 0}, record{testEntry(1), 2}), 1) // of an append that would begin after it
}

// FuzzLedger: whatever a file has, it is read or refused, and what is read is encoded
// to the same bytes.
func FuzzLedger(f *testing.F) {
	whole := writeLedger(f, 1, 2)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte(ledgerHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		count, err := scanLedger(bytes.NewReader(b), int64(len(b)), func(number uint64, e Entry) error {
			r, err := decodeRecord(b[recordAt(number):recordAt(number+1)])
			require.NoError(t, err)
			require.Equal(t, e, r.Entry)
			again = r.append(again)
			return nil
		})
		if err != nil {
			require.ErrorIs(t, err, ErrLedgerDamaged)
			return
		}
		require.Equal(t, b[ledgerHeaderBytes:recordAt(count)], append([]byte{}, again...))
	})
}
