package rocedump

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// What is wrong with a management datagram.
var (
	errMADLength  = errors.New("management datagram that does not have 256 bytes")
	errMADVersion = errors.New("management datagram of an unknown version")
)

// The header of management datagrams, chapter 13.4.3 of the InfiniBand
// specification.
const (
	madBytes       = 256
	madHeaderBytes = 24
	madVersion     = 0
	madClass       = 1
	madMethod      = 3
	madStatus      = 4
	madTransaction = 8
	madAttribute   = 16

	baseVersion = 1
	generalQP   = 1 // the queue pair of all management but that of subnets
	classCM     = 0x07
)

var madClasses = map[uint8]string{
	0x01:    "subnet management",
	0x03:    "subnet administration",
	0x04:    "performance management",
	0x05:    "baseboard management",
	0x06:    "device management",
	classCM: "CM",
	0x08:    "SNMP",
	0x10:    "device administration",
	0x81:    "subnet management",
}

// cmAttributes are the messages of the communication manager, chapter 12.
var cmAttributes = map[uint16]string{
	0x01: "ClassPortInfo",
	0x10: "ConnectRequest",
	0x11: "MsgRcptAck",
	0x12: "ConnectReject",
	0x13: "ConnectReply",
	0x14: "ReadyToUse",
	0x15: "DisconnectRequest",
	0x16: "DisconnectReply",
	0x17: "ServiceIDResolutionRequest",
	0x18: "ServiceIDResolutionReply",
	0x19: "LoadAlternatePath",
	0x1a: "AlternatePathResponse",
	0x1b: "SuggestAlternatePath",
	0x1c: "SuggestAlternatePathResponse",
}

// describeMAD is what a packet says as a management datagram, of which so many
// bytes were captured, and nothing if it is none.
func describeMAD(p *wire.Packet, captured int) (string, error) {
	b := p.Payload[0]
	switch {
	case p.Opcode != wire.UDSendOnly || p.DestQP != generalQP:
		return "", nil
	case len(b) != madBytes:
		return "", errMADLength
	case captured < madHeaderBytes:
		return "", nil
	case b[madVersion] != baseVersion:
		return "", errMADVersion
	}
	class, attribute := b[madClass], binary.BigEndian.Uint16(b[madAttribute:])
	name := madClasses[class]
	if name == "" {
		name = fmt.Sprintf("management class %#x", class)
	}
	words := " " + name
	if class == classCM {
		message := cmAttributes[attribute]
		if message == "" {
			message = "unknown message"
		}
		words += " " + message
	} else {
		words += fmt.Sprintf(" method=%#x", b[madMethod])
	}
	words += fmt.Sprintf(" attribute=%#x transaction=%#x", attribute, binary.BigEndian.Uint64(b[madTransaction:]))
	if status := binary.BigEndian.Uint16(b[madStatus:]); status != 0 {
		words += fmt.Sprintf(" status=%#x", status)
	}
	return words, nil
}
