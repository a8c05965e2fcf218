package words

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/internal/names"
	"github.com/rfaas-go/rfaas/transport"
)

const (
	magic = "rfaw"
	// version is that of the protocol.
	version = 1

	// rowBytes is the length of a row: the words of what is measured, those of what is
	// claimed, and some that are not used.
	rowBytes = 128
	kinds    = 2 // measured, claimed
	// rows is how many tenants times epochs an agent can have.
	rows = 1024

	messageBytes = 128
	// messages is how many requests for rows may be under way.
	messages = 4
)

var order = binary.LittleEndian

// wordAt is where a word lies in its row.
func wordAt(kind int, q accounting.Quantity) int { return 8 * (kind*accounting.Quantities + int(q)) }

// hello is an agent's greeting.
//
//	0   4  "rfaw"
//	4   2  version
//	6   2  bytes of the name
//	8   8  epoch
//	16  .. name, then token
type hello struct {
	node  string
	epoch uint64
	token []byte
}

const (
	helloBytes = 16
	// MaxTokenBytes bounds the token of an agent.
	MaxTokenBytes = 512
)

// IsHello says whether a peer's private data is a greeting of this protocol.
func IsHello(b []byte) bool { return len(b) >= 4 && string(b[:4]) == magic }

func (h *hello) encode() []byte {
	b := append(make([]byte, 0, helloBytes+len(h.node)+len(h.token)), magic...)
	b = order.AppendUint16(b, version)
	b = order.AppendUint16(b, uint16(len(h.node)))
	b = order.AppendUint64(b, h.epoch)
	b = append(b, h.node...)
	return append(b, h.token...)
}

func decodeHello(b []byte) (h hello, err error) {
	if !IsHello(b) || len(b) < 6 {
		return h, errors.New("the peer does not speak the protocol of accounting")
	}
	if v := order.Uint16(b[4:]); v != version {
		return h, fmt.Errorf("the peer speaks version %d of the protocol of accounting, this end version %d; use one release on both ends", v, version)
	}
	if len(b) < helloBytes || len(b) > helloBytes+names.MaxBytes+MaxTokenBytes || len(b) < helloBytes+int(order.Uint16(b[6:])) {
		return h, fmt.Errorf("malformed greeting of %d bytes", len(b))
	}
	n := helloBytes + int(order.Uint16(b[6:]))
	h = hello{node: string(b[helloBytes:n]), epoch: order.Uint64(b[8:]), token: b[n:]}
	return h, names.Check(h.node)
}

// message asks for a row, or says which one it is.
//
//	0   8  epoch
//	8   4  row; in answers: one more than it, 0 if there is none
//	12  2  bytes of the tenant's name
//	16  .. name
type message struct {
	epoch  uint64
	tenant string
	row    uint32
}

func (m *message) encode(b []byte) {
	clear(b[:messageBytes])
	order.PutUint64(b, m.epoch)
	order.PutUint32(b[8:], m.row)
	order.PutUint16(b[12:], uint16(len(m.tenant)))
	copy(b[16:], m.tenant)
}

func decodeMessage(b []byte) (m message, err error) {
	if len(b) != messageBytes || int(order.Uint16(b[12:])) > names.MaxBytes {
		return m, errors.New("malformed message")
	}
	m = message{epoch: order.Uint64(b), row: order.Uint32(b[8:]), tenant: string(b[16 : 16+order.Uint16(b[12:])])}
	return m, names.Check(m.tenant)
}

// answer is the server's private data: where the words are.
func encodeAnswer(r transport.RemoteSpan) []byte { return r.AppendTo([]byte(magic)) }

func decodeAnswer(b []byte) (transport.RemoteSpan, error) {
	if !IsHello(b) {
		return transport.RemoteSpan{}, errors.New("the peer does not speak the protocol of accounting")
	}
	r, ok := transport.DecodeRemoteSpan(b[len(magic):])
	if !ok || r.Len != rows*rowBytes {
		return r, errors.New("malformed answer of the manager")
	}
	return r, nil
}
