package roceaddr

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/internal/visible"
)

// Message is a message between the two ends of a connection over the set-up
// stream, beside the packets.
type Message struct {
	Kind   MessageKind
	PSN    uint32 // of Closing
	Reason string // of Failed: in words, for people; may be cut
}

// MessageKind is the kind of a Message.
type MessageKind uint8

const (
	// Failed: the sender's end failed for a reason that no packet shows to the peer;
	// or for any reason, if the peer asked for that (Address.Tell).
	Failed MessageKind = iota + 1
	// Closing: the sender closes; it carried out all requests before PSN.
	Closing
)

const (
	leastMessageBytes = 5
	maxReasonBytes    = 1024
)

// Encode is the kind, the PSN, big-endian, and the reason.
func (m Message) Encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{byte(m.Kind)}, m.PSN)
	return append(b, m.Reason[:min(len(m.Reason), maxReasonBytes)]...)
}

// DecodeMessage reads what Encode wrote, and refuses what makes no sense.
func DecodeMessage(b []byte) (Message, error) {
	if len(b) < leastMessageBytes || len(b) > leastMessageBytes+maxReasonBytes || b[0] < byte(Failed) || b[0] > byte(Closing) {
		return Message{}, fmt.Errorf("the peer sent a control message of %d bytes that means nothing", len(b))
	}
	return Message{MessageKind(b[0]), binary.BigEndian.Uint32(b[1:]), string(b[leastMessageBytes:])}, nil
}

// PeerFailed is the error of the end that receives Failed.
func (m Message) PeerFailed() error {
	if m.Reason == "" {
		return errors.New("the peer's end of the connection failed; look there for the reason")
	}
	return fmt.Errorf("the peer's end of the connection failed: it says: %s", visible.Text(m.Reason))
}
