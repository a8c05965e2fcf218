package accounting

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/internal/names"
)

// A ledger is a header and records of one size, so that a damaged one does not hide
// those after it.
const (
	ledgerMagic   = "rfaas ledger  "
	ledgerVersion = "1"
	ledgerHeader  = ledgerMagic + ledgerVersion + "\n"

	recordCRCAt       = 0 // CRC-32C of what follows
	recordClaimedAt   = 4 // 0 or 1; three bytes of 0 follow
	recordFirstAt     = 8
	recordSecondsAt   = 16
	recordEpochAt     = 24
	recordLeaseAt     = 32
	recordUsageAt     = 40
	recordNodeAt      = recordUsageAt + 8*Quantities // filled up with zeros, as the tenant
	recordTenantAt    = recordNodeAt + names.MaxBytes
	recordBytes       = recordTenantAt + names.MaxBytes
	ledgerHeaderBytes = int64(len(ledgerHeader))
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is an entry as it is in a ledger.
type record struct {
	Entry
	// first is the number of the record with which its append began. It tells an
	// append that was cut short from damage: after the record that an append failed
	// to write there is none whose append began later.
	first uint64
}

// recordAt is the offset of a record.
func recordAt(number uint64) int64 { return ledgerHeaderBytes + int64(number)*recordBytes }

// append appends the bytes of a record whose entry passes check.
func (r *record) append(to []byte) []byte {
	var b [recordBytes]byte
	if r.Claimed {
		b[recordClaimedAt] = 1
	}
	binary.LittleEndian.PutUint64(b[recordFirstAt:], r.first)
	binary.LittleEndian.PutUint64(b[recordSecondsAt:], uint64(r.At.Unix()))
	binary.LittleEndian.PutUint64(b[recordEpochAt:], r.Epoch)
	binary.LittleEndian.PutUint64(b[recordLeaseAt:], r.Lease)
	for q, v := range r.Usage {
		binary.LittleEndian.PutUint64(b[recordUsageAt+8*q:], v)
	}
	copy(b[recordNodeAt:], r.Node)
	copy(b[recordTenantAt:], r.Tenant)
	binary.LittleEndian.PutUint32(b[recordCRCAt:], crc32.Checksum(b[recordClaimedAt:], castagnoli))
	return append(to, b[:]...)
}

var errRecord = errors.New("the record is damaged")

// decodeRecord checks every byte of a record.
func decodeRecord(b []byte) (r record, err error) {
	if len(b) != recordBytes || binary.LittleEndian.Uint32(b) != crc32.Checksum(b[recordClaimedAt:], castagnoli) {
		return r, errRecord
	}
	name := func(at int) string { return strings.TrimRight(string(b[at:at+names.MaxBytes]), "\x00") }
	r = record{
		Entry: Entry{
			At:      time.Unix(int64(binary.LittleEndian.Uint64(b[recordSecondsAt:])), 0).UTC(),
			Node:    name(recordNodeAt),
			Epoch:   binary.LittleEndian.Uint64(b[recordEpochAt:]),
			Tenant:  name(recordTenantAt),
			Lease:   binary.LittleEndian.Uint64(b[recordLeaseAt:]),
			Claimed: b[recordClaimedAt] == 1,
		},
		first: binary.LittleEndian.Uint64(b[recordFirstAt:]),
	}
	for q := range r.Usage {
		r.Usage[q] = binary.LittleEndian.Uint64(b[recordUsageAt+8*q:])
	}
	// A checksum can be right by chance, or made so.
	if r.check() != nil || !bytes.Equal(r.append(nil), b) {
		return r, errRecord
	}
	return r, nil
}
