package transport

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"unicode"
)

// Rejection is what an end that refuses a connection sends to the other one.
type Rejection struct {
	// Code means what the two programs have agreed on. Refusals by the transport
	// itself have 0, and only a reason.
	Code uint32
	// Reason is for people. It is cut to 1024 bytes, and characters that are not
	// printable are replaced.
	Reason string
	// Data is the program's own: at most MaxRejectionData bytes.
	Data []byte
}

// MaxRejectionData is the most data, in bytes, that a Rejection can carry.
const MaxRejectionData = 4096

// RejectedError means that the peer refused the connection. It is an ErrRejected.
// Data belongs to the caller.
type RejectedError struct{ Rejection }

func (e *RejectedError) Error() string { return ErrRejected.Error() + " by the peer: " + e.Reason }

// Is makes errors.Is(err, ErrRejected) hold.
func (e *RejectedError) Is(target error) bool { return target == ErrRejected }

// maxReason bounds Rejection.Reason, in bytes.
const maxReason = 1024

// A rejection travels as its code, the length of the reason (4 and 2 bytes,
// big-endian), the reason and the data.
const rejectionHeader = 6

func (r Rejection) encode() []byte {
	reason := r.Reason[:min(len(r.Reason), maxReason)]
	b := binary.BigEndian.AppendUint32(nil, r.Code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(reason)))
	return append(append(b, reason...), r.Data...)
}

// Refuse rejects the peer on a stream and closes the stream. It is for a program that
// relays streams to other processes and has no Request for this one; otherwise use
// Request.Reject.
func Refuse(stream net.Conn, r Rejection) { newLink(stream).reject(r) }

// decodeRejection reads a rejection from an untrusted peer.
func decodeRejection(b []byte) error {
	if len(b) < rejectionHeader {
		return malformedRejection(b)
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	rest := b[rejectionHeader:]
	if size > min(maxReason, len(rest)) || len(rest)-size > MaxRejectionData {
		return malformedRejection(b)
	}
	r := Rejection{Code: binary.BigEndian.Uint32(b), Reason: printable(string(rest[:size]))}
	if data := rest[size:]; len(data) > 0 {
		r.Data = append([]byte(nil), data...)
	}
	return &RejectedError{r}
}

func malformedRejection(b []byte) error {
	return &RejectedError{Rejection{Reason: fmt.Sprintf("its reason is malformed (%d bytes)", len(b))}}
}

// printable replaces characters that a terminal could take for a command.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
