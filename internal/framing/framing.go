// Package framing divides the set-up stream of a connection into frames: for package
// transport, and for programs that relay a stream and read along.
package framing

import "encoding/binary"

// Kind is the kind of a frame.
type Kind uint8

// The kinds.
const (
	Hello    Kind = iota + 1 // dialer: version, wire protocol, device, private data
	Accept                   // listener: the same
	Reject                   // either: a rejection
	Exchange                 // either: a provider's exchange
	Control                  // either, once set up: a provider's message
	Goodbye                  // either: closed in good order
	Notice                   // either, once set up: the program's message
	kinds
)

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool { return k >= Hello && k < kinds }

// HeaderBytes is the length of a header, MaxBytes the most that follows one.
const (
	HeaderBytes = 8
	MaxBytes    = 1 << 20
)

// Header is what a frame begins with: the length of what follows, its kind, and the number
// of descriptors, which travel with the first byte of the frame; two zeros; big-endian.
type Header struct {
	Size uint32
	Kind Kind
	FDs  uint8
}

// Append appends the header to b.
func (h Header) Append(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, h.Size), byte(h.Kind), h.FDs, 0, 0)
}

// Decode reads the header that b begins with. Nothing in it is checked.
func Decode(b []byte) Header {
	return Header{Size: binary.BigEndian.Uint32(b), Kind: Kind(b[4]), FDs: b[5]}
}
