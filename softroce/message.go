package softroce

import (
	"encoding/binary"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// message is what the two ends of a connection tell each other over the set-up
// stream, beside the wire.
type message struct {
	kind messageKind
	psn  uint32
}

type messageKind uint8

const (
	// messageFailed: the sender's end failed for a reason that the peer cannot see
	// on the wire.
	messageFailed messageKind = iota + 1
	// messageClosing: the sender closes; it carried out all requests before psn.
	messageClosing
)

const messageBytes = 5

func (m message) encode() []byte {
	return binary.BigEndian.AppendUint32([]byte{byte(m.kind)}, m.psn)
}

func decodeMessage(b []byte) (message, error) {
	if len(b) != messageBytes || b[0] < byte(messageFailed) || b[0] > byte(messageClosing) {
		return message{}, fmt.Errorf("%w: the peer sent a control message of %d bytes that means nothing", transport.ErrInvalid, len(b))
	}
	return message{messageKind(b[0]), binary.BigEndian.Uint32(b[1:])}, nil
}
