package invoke

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// Version is the version of the protocol between client and worker. Ends of
// different versions refuse each other.
const Version = 4

// hello is the private data that the two ends swap when they connect. Numbers
// are little-endian; the span is encoded as transport.RemoteSpan is.
//
//	0   4  "rfiv"
//	4   2  version
//	6   2  slots: the client's wish; the worker's grant, which is not more
//	8   4  payload bytes of a slot, likewise
//	12  8  client: id of the first call
//	20 16  the first slot of the sender's region: replies; requests
//	36  8  worker: bytes that the input and the result of a call beyond the slots may
//	       have together, 0 if there are no such calls
//	44  2  token bytes
//	46  .. token
type hello struct {
	version         uint16
	layout          layout
	firstID         uint64
	region          transport.RemoteSpan
	rendezvousBytes uint64
	token           []byte
}

const (
	helloMagic = "rfiv"
	helloBytes = 30 + transport.RemoteSpanBytes

	// MaxTokenBytes bounds ClientConfig.Token.
	MaxTokenBytes = transport.MaxPrivateData - helloBytes
)

func (h *hello) encode() []byte {
	b := append(make([]byte, 0, helloBytes+len(h.token)), helloMagic...)
	b = binary.LittleEndian.AppendUint16(b, h.version)
	b = binary.LittleEndian.AppendUint16(b, uint16(h.layout.slots))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.layout.slotBytes))
	b = binary.LittleEndian.AppendUint64(b, h.firstID)
	b = h.region.AppendTo(b)
	b = binary.LittleEndian.AppendUint64(b, h.rendezvousBytes)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(h.token)))
	return append(b, h.token...)
}

// decodeHello reads what encode wrote. The version is looked at first: the rest
// of another version's hello may mean anything. The token is part of b.
func decodeHello(b []byte) (hello, error) {
	if len(b) < 6 || string(b[:4]) != helloMagic {
		return hello{}, errors.New("the peer does not speak the protocol of remote invocation")
	}
	h := hello{version: binary.LittleEndian.Uint16(b[4:])}
	if h.version != Version {
		return hello{}, &Error{Status: StatusVersionMismatch, Started: StartedNo,
			Message: fmt.Sprintf("the peer speaks version %d of the invocation protocol, this end version %d; use one release on both ends", h.version, Version)}
	}
	if len(b) < helloBytes || len(b)-helloBytes != int(binary.LittleEndian.Uint16(b[helloBytes-2:])) {
		return hello{}, errors.New("malformed private data of the invocation protocol")
	}
	h.layout = layout{slots: int(binary.LittleEndian.Uint16(b[6:])), slotBytes: int(binary.LittleEndian.Uint32(b[8:]))}
	h.firstID = binary.LittleEndian.Uint64(b[12:])
	h.region, _ = transport.DecodeRemoteSpan(b[20:])
	h.rendezvousBytes = binary.LittleEndian.Uint64(b[helloBytes-10:])
	h.token = b[helloBytes:]
	if h.layout.slots < 1 || h.layout.slots > maxSlots || h.layout.slotBytes < minSlotBytes || h.layout.slotBytes > maxSlotBytes {
		return hello{}, fmt.Errorf("the peer asks for %d slots of %d bytes", h.layout.slots, h.layout.slotBytes)
	}
	return h, nil
}

// TokenOf is the token that a client presents, for programs that accept the clients of
// several workers at one address. It is part of the peer's private data.
func TokenOf(client transport.Peer) ([]byte, error) {
	h, err := decodeHello(client.PrivateData)
	return h.token, err
}

// Refuse rejects a client with a status, as a worker would.
func Refuse(r *transport.Request, why *Error) error { return r.Reject(refusal(why)) }

// refusal is the rejection of a client: with the error's status, if it has one.
func refusal(err error) transport.Rejection {
	if e, ok := errors.AsType[*Error](err); ok {
		return transport.Rejection{Code: uint32(e.Status), Reason: e.Message}
	}
	return transport.Rejection{Reason: err.Error()}
}

// refused is the error of a connection that failed: an *Error if one of the ends
// refused it with a status.
func refused(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e // refused at this end
	}
	if r, ok := errors.AsType[*transport.RejectedError](err); ok && r.Code != uint32(StatusOK) && r.Code < uint32(statusCount) {
		return &Error{Status: Status(r.Code), Message: r.Reason, Started: StartedNo, Err: err}
	}
	return fmt.Errorf("invoke: connect to a worker: %w", err)
}
