package roceaddr

import (
	"encoding/binary"
	"fmt"
)

// Message is what the two ends of a connection tell each other over the set-up
// stream, beside the wire.
type Message struct {
	Kind MessageKind
	PSN  uint32
}

// MessageKind is what a Message says.
type MessageKind uint8

const (
	// Failed: the sender's end failed for a reason that the peer cannot see on the
	// wire.
	Failed MessageKind = iota + 1
	// Closing: the sender closes; it carried out all requests before PSN.
	Closing
)

const messageBytes = 5

// Encode is the kind and the PSN, big-endian.
func (m Message) Encode() []byte {
	return binary.BigEndian.AppendUint32([]byte{byte(m.Kind)}, m.PSN)
}

// DecodeMessage reads what Encode wrote, and refuses what makes no sense.
func DecodeMessage(b []byte) (Message, error) {
	if len(b) != messageBytes || b[0] < byte(Failed) || b[0] > byte(Closing) {
		return Message{}, fmt.Errorf("the peer sent a control message of %d bytes that means nothing", len(b))
	}
	return Message{MessageKind(b[0]), binary.BigEndian.Uint32(b[1:])}, nil
}
