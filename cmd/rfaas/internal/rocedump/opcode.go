package rocedump

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// form is the form of packets with an opcode that package wire does not have:
// those of the other transport services, and the later ones of RC. Behind some
// headers they are like packets of RC.
type form struct {
	name    string
	headers []header    // behind the BTH
	like    wire.Opcode // what the rest is read as
}

// header is an extended transport header that package wire does not have.
type header struct {
	bytes    int
	describe func(b []byte) string
}

const (
	bthBytes    = 12
	numberMask  = 1<<24 - 1 // of queue pairs and contexts
	opcodeCNP   = 0x81      // congestion notification packet
	cnpReserved = 16        // bytes, instead of headers and payload
)

var (
	headerIETH = header{4, func(b []byte) string { return fmt.Sprintf("invalidate-rkey=%#x", binary.BigEndian.Uint32(b)) }}
	headerDETH = header{8, func(b []byte) string {
		return fmt.Sprintf("qkey=%#x source-qp=%#x", binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])&numberMask)
	}}
	headerRDETH  = header{4, func(b []byte) string { return fmt.Sprintf("ee-context=%#x", binary.BigEndian.Uint32(b)&numberMask) }}
	headerXRCETH = header{4, func(b []byte) string { return fmt.Sprintf("srq=%#x", binary.BigEndian.Uint32(b)&numberMask) }}
	headerFETH   = header{4, describeFlush}
)

// forms are the forms by opcode. The upper three bits are the transport service;
// the others mean the same in each, as far as it has them.
var forms = makeForms()

func makeForms() map[wire.Opcode]form {
	const uc, rd, xrc wire.Opcode = 0x20, 0x40, 0xa0
	m := map[wire.Opcode]form{
		0x16: {"SEND LAST INV", []header{headerIETH}, wire.SendLast},
		0x17: {"SEND ONLY INV", []header{headerIETH}, wire.SendOnly},
		0x1c: {"FLUSH", []header{headerFETH}, wire.ReadRequest},
		0x1d: {"ATOMIC WRITE", nil, wire.WriteOnly},

		rd | 0x15: {"RD RESYNC", []header{headerRDETH, headerDETH}, wire.SendMiddle},

		xrc | 0x16: {"XRC SEND LAST INV", []header{headerXRCETH, headerIETH}, wire.SendLast},
		xrc | 0x17: {"XRC SEND ONLY INV", []header{headerXRCETH, headerIETH}, wire.SendOnly},
	}
	for o := wire.SendFirst; o <= wire.FetchAdd; o++ {
		if o <= wire.WriteOnlyImm {
			m[uc|o] = form{"UC " + o.String(), nil, o}
		}
		ofRD, ofXRC := []header{headerRDETH, headerDETH}, []header{headerXRCETH}
		if o.IsResponse() {
			ofRD, ofXRC = []header{headerRDETH}, nil
		}
		m[rd|o] = form{"RD " + o.String(), ofRD, o}
		m[xrc|o] = form{"XRC " + o.String(), ofXRC, o}
	}
	return m
}

// decode reads the headers of a packet of this form, of which so many bytes were
// captured, and says what is in them.
func (f form) decode(b []byte, captured int) (string, error) {
	var words strings.Builder
	rest := append([]byte(nil), b[:bthBytes]...)
	rest[0] = byte(f.like)
	b, captured = b[bthBytes:], captured-bthBytes
	for _, h := range f.headers {
		if len(b) < h.bytes {
			return "", wire.ErrTruncated
		}
		words.WriteString(" " + h.describe(b))
		b, captured = b[h.bytes:], captured-h.bytes
	}
	var p wire.Packet
	if err := p.Decode(append(rest, b...)); err != nil {
		return "", err
	}
	if captured < p.HeaderBytes()-bthBytes {
		return "", errHeaders
	}
	return describe(&p, f.name, words.String()), nil
}

// describeFlush is what the header of FLUSH says: which kinds of placement are
// wanted, and of what.
func describeFlush(b []byte) string {
	const placement, selectivity, selectivityShift = 0x0f, 0x30, 4
	n := binary.BigEndian.Uint32(b)
	return fmt.Sprintf("placement=%#x selectivity=%d", n&placement, n&selectivity>>selectivityShift)
}

// decodeCNP reads a congestion notification packet.
func decodeCNP(p *wire.Packet, b []byte) (string, error) {
	words := describe(p, "CNP", "")
	switch n := len(b) - bthBytes - wire.ICRCBytes; {
	case n < cnpReserved:
		return words, wire.ErrTruncated
	case n > cnpReserved:
		return words, wire.ErrPayload
	}
	return words, nil
}
