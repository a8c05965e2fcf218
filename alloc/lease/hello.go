package lease

import (
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/internal/names"
)

// Version is that of the protocol. Ends of different versions refuse each other.
const Version = 1

// Hello is the greeting: the private data that the two sides swap when they connect.
//
//	0   4  "rfls"
//	4   2  version
//	6   2  bytes of the name
//	8   8  agent: boot epoch
//	16  8  agent: free cores
//	24  8  agent: free memory
//	32  2  client: bytes of the token
//	34  .. name, then token
type Hello struct {
	Version int
	Name    string // the tenant's, the node's: see names.Check
	Epoch   uint64
	Free    Capacity
	Token   []byte // of the tenant: at most MaxTokenBytes
}

const (
	helloMagic = "rfls"
	helloBytes = 34

	// MaxTokenBytes bounds the token of a tenant.
	MaxTokenBytes = 512
)

// IsHello says whether a peer's private data is a greeting of this protocol.
func IsHello(b []byte) bool { return len(b) >= 4 && string(b[:4]) == helloMagic }

// VersionError says that the two sides speak different versions.
type VersionError struct{ Peer int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("the peer speaks version %d of the protocol of leases, this end version %d; use one release on both ends", e.Peer, Version)
}

// Encode returns it as private data.
func (h *Hello) Encode() []byte {
	b := append(make([]byte, 0, helloBytes+len(h.Name)+len(h.Token)), helloMagic...)
	b = order.AppendUint16(b, Version)
	b = order.AppendUint16(b, uint16(len(h.Name)))
	b = order.AppendUint64(b, h.Epoch)
	b = order.AppendUint64(b, uint64(h.Free.Cores))
	b = order.AppendUint64(b, uint64(h.Free.MemoryBytes))
	b = order.AppendUint16(b, uint16(len(h.Token)))
	b = append(b, h.Name...)
	return append(b, h.Token...)
}

// Decode reads a greeting. The token is part of b. Of another version only the version is
// known.
func (h *Hello) Decode(b []byte) error {
	if !IsHello(b) || len(b) < 6 {
		return errors.New("lease: the peer does not speak the protocol of leases")
	}
	if v := int(order.Uint16(b[4:])); v != Version {
		return &VersionError{v}
	}
	if len(b) < helloBytes {
		return fmt.Errorf("lease: greeting of %d bytes", len(b))
	}
	name, token := int(order.Uint16(b[6:])), int(order.Uint16(b[32:]))
	if len(b) != helloBytes+name+token || token > MaxTokenBytes {
		return fmt.Errorf("lease: greeting of %d bytes with a name of %d and a token of %d", len(b), name, token)
	}
	*h = Hello{Version: Version, Name: string(b[helloBytes : helloBytes+name]), Epoch: order.Uint64(b[8:]), Token: b[helloBytes+name:]}
	cores, memory := order.Uint64(b[16:]), order.Uint64(b[24:])
	if cores > 1<<20 || memory > 1<<62 || h.Epoch > MaxEpoch {
		return errors.New("lease: greeting with impossible numbers")
	}
	h.Free = Capacity{int(cores), int64(memory)}
	if err := names.Check(h.Name); err != nil {
		return fmt.Errorf("lease: greeting: %w", err)
	}
	return nil
}
