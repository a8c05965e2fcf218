package lease

import (
	"fmt"
	"strconv"
	"strings"
)

// ID names a lease forever: the boot epoch of the agent that granted it, 24 bits, and
// a counter of 40 bits.
type ID uint64

const (
	countBits = 40
	// MaxEpoch is the last boot epoch that an ID has room for.
	MaxEpoch = 1<<(64-countBits) - 1
)

// NewID makes the ID of the count-th lease of an epoch.
func NewID(epoch, count uint64) ID { return ID(epoch<<countBits | count&(1<<countBits-1)) }

// Epoch is the boot epoch of the agent.
func (id ID) Epoch() uint64 { return uint64(id) >> countBits }

// Count is the number of the lease in its epoch.
func (id ID) Count() uint64 { return uint64(id) & (1<<countBits - 1) }

// String is "EPOCH-COUNT".
func (id ID) String() string { return fmt.Sprintf("%d-%d", id.Epoch(), id.Count()) }

// ParseID reads what String writes.
func ParseID(text string) (ID, error) {
	first, second, _ := strings.Cut(text, "-")
	epoch, err := strconv.ParseUint(first, 10, 24)
	count, err2 := strconv.ParseUint(second, 10, countBits)
	if err != nil || err2 != nil {
		return 0, fmt.Errorf("lease: %.64q is no ID of a lease: it is EPOCH-COUNT, as in 3-17", text)
	}
	return NewID(epoch, count), nil
}

// SecretBytes is the length of a Secret.
const SecretBytes = 16

// Secret is known to a lease's tenant, and to clients that the tenant lets use its workers.
type Secret [SecretBytes]byte

// String hides it: secrets do not belong in logs.
func (Secret) String() string { return "(secret)" }

// Token is what a client of a worker presents: which lease, which of its workers, and
// that it may.
type Token struct {
	Lease  ID
	Secret Secret
	Worker int // from 0
	// Attempt counts the connections to the worker. Each gets a process that had no
	// client before: one whose connection was lost may still be executing a call.
	Attempt uint32
}

// Encode makes TokenBytes of it.
func (t *Token) Encode() []byte {
	b := append(make([]byte, 0, TokenBytes), t.Secret[:]...)
	b = order.AppendUint64(b, uint64(t.Lease))
	b = order.AppendUint16(b, uint16(t.Worker))
	return order.AppendUint32(b, t.Attempt)
}

// TokenBytes is the length of a token.
const TokenBytes = SecretBytes + 14

// ParseToken takes a token apart; ok is false if it is none.
func ParseToken(b []byte) (t Token, ok bool) {
	if len(b) != TokenBytes {
		return Token{}, false
	}
	copy(t.Secret[:], b)
	t.Lease, t.Worker, t.Attempt = ID(order.Uint64(b[SecretBytes:])), int(order.Uint16(b[SecretBytes+8:])), order.Uint32(b[SecretBytes+10:])
	return t, true
}
