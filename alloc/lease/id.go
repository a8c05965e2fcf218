package lease

import "fmt"

// ID names a lease for good: the boot epoch of the agent that granted it, 24 bits, and
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

// SecretBytes is the length of a Secret.
const SecretBytes = 16

// Secret is what a tenant and those it lets use its workers know of a lease.
type Secret [SecretBytes]byte

// String does not tell it: secrets do not belong into logs.
func (Secret) String() string { return "(secret)" }

// Token is what a client of a worker has to present, 26 bytes: the secret, the ID, and
// the number of the worker from 0.
func Token(id ID, secret Secret, worker int) []byte {
	b := append(make([]byte, 0, TokenBytes), secret[:]...)
	b = order.AppendUint64(b, uint64(id))
	return order.AppendUint16(b, uint16(worker))
}

// TokenBytes is the length of a token.
const TokenBytes = SecretBytes + 10

// ParseToken takes a token apart; ok is false if it is none.
func ParseToken(b []byte) (id ID, secret Secret, worker int, ok bool) {
	if len(b) != TokenBytes {
		return 0, Secret{}, 0, false
	}
	copy(secret[:], b)
	return ID(order.Uint64(b[SecretBytes:])), secret, int(order.Uint16(b[SecretBytes+8:])), true
}
