package wire

import "fmt"

// Opcode is the kind of a packet, and so decides which extension headers it
// has. The upper three bits are the transport service: 0 for a reliable
// connection (RC), 3 for datagrams (UD).
type Opcode uint8

// The opcodes of a reliable connection, and the two of unreliable datagrams.
const (
	SendFirst          Opcode = 0x00
	SendMiddle         Opcode = 0x01
	SendLast           Opcode = 0x02
	SendLastImm        Opcode = 0x03
	SendOnly           Opcode = 0x04
	SendOnlyImm        Opcode = 0x05
	WriteFirst         Opcode = 0x06
	WriteMiddle        Opcode = 0x07
	WriteLast          Opcode = 0x08
	WriteLastImm       Opcode = 0x09
	WriteOnly          Opcode = 0x0a
	WriteOnlyImm       Opcode = 0x0b
	ReadRequest        Opcode = 0x0c
	ReadResponseFirst  Opcode = 0x0d
	ReadResponseMiddle Opcode = 0x0e
	ReadResponseLast   Opcode = 0x0f
	ReadResponseOnly   Opcode = 0x10
	Acknowledge        Opcode = 0x11
	AtomicAcknowledge  Opcode = 0x12
	CompareSwap        Opcode = 0x13
	FetchAdd           Opcode = 0x14

	UDSendOnly    Opcode = 0x64
	UDSendOnlyImm Opcode = 0x65
)

// traits is what is known of an opcode.
type traits uint16

const (
	valid traits = 1 << iota
	request
	response
	first  // begins a message, and others follow
	middle // neither begins nor ends one
	last   // ends a message, or is all of it
	only   // all of a message
	send
	write
	payload // may have one
	deth
	reth
	atomicETH
	aeth
	atomicAckETH
	immDt
)

// The bytes of the headers.
const (
	bthBytes          = 12
	dethBytes         = 8
	rethBytes         = 16
	atomicETHBytes    = 28
	aethBytes         = 4
	atomicAckETHBytes = 8
	immDtBytes        = 4
)

// opcodeTraits and opcodeNames are the one table of opcodes; headerBytes follows
// from it.
var (
	opcodeTraits = [256]traits{
		SendFirst:     valid | request | send | first | payload,
		SendMiddle:    valid | request | send | middle | payload,
		SendLast:      valid | request | send | last | payload,
		SendLastImm:   valid | request | send | last | payload | immDt,
		SendOnly:      valid | request | send | last | only | payload,
		SendOnlyImm:   valid | request | send | last | only | payload | immDt,
		WriteFirst:    valid | request | write | first | payload | reth,
		WriteMiddle:   valid | request | write | middle | payload,
		WriteLast:     valid | request | write | last | payload,
		WriteLastImm:  valid | request | write | last | payload | immDt,
		WriteOnly:     valid | request | write | last | only | payload | reth,
		WriteOnlyImm:  valid | request | write | last | only | payload | reth | immDt,
		ReadRequest:   valid | request | last | only | reth,
		CompareSwap:   valid | request | last | only | atomicETH,
		FetchAdd:      valid | request | last | only | atomicETH,
		UDSendOnly:    valid | request | send | last | only | payload | deth,
		UDSendOnlyImm: valid | request | send | last | only | payload | deth | immDt,

		ReadResponseFirst:  valid | response | first | payload | aeth,
		ReadResponseMiddle: valid | response | middle | payload,
		ReadResponseLast:   valid | response | last | payload | aeth,
		ReadResponseOnly:   valid | response | last | only | payload | aeth,
		Acknowledge:        valid | response | last | only | aeth,
		AtomicAcknowledge:  valid | response | last | only | aeth | atomicAckETH,
	}

	opcodeNames = [256]string{
		SendFirst:          "SEND FIRST",
		SendMiddle:         "SEND MIDDLE",
		SendLast:           "SEND LAST",
		SendLastImm:        "SEND LAST IMM",
		SendOnly:           "SEND ONLY",
		SendOnlyImm:        "SEND ONLY IMM",
		WriteFirst:         "WRITE FIRST",
		WriteMiddle:        "WRITE MIDDLE",
		WriteLast:          "WRITE LAST",
		WriteLastImm:       "WRITE LAST IMM",
		WriteOnly:          "WRITE ONLY",
		WriteOnlyImm:       "WRITE ONLY IMM",
		ReadRequest:        "READ REQUEST",
		ReadResponseFirst:  "READ RESPONSE FIRST",
		ReadResponseMiddle: "READ RESPONSE MIDDLE",
		ReadResponseLast:   "READ RESPONSE LAST",
		ReadResponseOnly:   "READ RESPONSE ONLY",
		Acknowledge:        "ACK",
		AtomicAcknowledge:  "ATOMIC ACK",
		CompareSwap:        "COMPARE SWAP",
		FetchAdd:           "FETCH ADD",
		UDSendOnly:         "UD SEND ONLY",
		UDSendOnlyImm:      "UD SEND ONLY IMM",
	}

	headerBytes = headerSizes()
)

func headerSizes() (sizes [256]uint8) {
	for o, t := range opcodeTraits {
		n := uint8(bthBytes)
		for _, h := range []struct {
			has   traits
			bytes uint8
		}{
			{deth, dethBytes},
			{reth, rethBytes},
			{atomicETH, atomicETHBytes},
			{aeth, aethBytes},
			{atomicAckETH, atomicAckETHBytes},
			{immDt, immDtBytes},
		} {
			if t&h.has != 0 {
				n += h.bytes
			}
		}
		sizes[o] = n
	}
	return sizes
}

// String is the opcode's name, such as "WRITE ONLY IMM".
func (o Opcode) String() string {
	if !o.Valid() {
		return fmt.Sprintf("opcode 0x%02x", uint8(o))
	}
	return opcodeNames[o]
}

func (o Opcode) has(t traits) bool { return opcodeTraits[o]&t != 0 }

// Valid reports whether the opcode is one of those above.
func (o Opcode) Valid() bool { return o.has(valid) }

// IsRequest reports whether a requester sends it. Datagrams count as requests.
func (o Opcode) IsRequest() bool { return o.has(request) }

// IsResponse reports whether a responder sends it: the parts of a READ response,
// and the acknowledgements.
func (o Opcode) IsResponse() bool { return o.has(response) }

// IsSend reports whether it is a SEND or a part of one, datagrams included.
func (o Opcode) IsSend() bool { return o.has(send) }

// IsWrite reports whether it is an RDMA WRITE or a part of one.
func (o Opcode) IsWrite() bool { return o.has(write) }

// IsAtomic reports whether it is the request of an atomic operation.
func (o Opcode) IsAtomic() bool { return o.has(atomicETH) }

// IsReadResponse reports whether it is a READ response or a part of one.
func (o Opcode) IsReadResponse() bool { return o >= ReadResponseFirst && o <= ReadResponseOnly }

// IsUD reports whether it belongs to the service of unreliable datagrams.
func (o Opcode) IsUD() bool { return o.has(deth) }

// IsFirst reports whether it begins a message of several packets.
func (o Opcode) IsFirst() bool { return o.has(first) }

// IsMiddle reports whether it is neither the first nor the last of its message.
func (o Opcode) IsMiddle() bool { return o.has(middle) }

// IsLast reports whether a message ends with it: the last of several packets, or
// the only one.
func (o Opcode) IsLast() bool { return o.has(last) }

// IsOnly reports whether it is a whole message.
func (o Opcode) IsOnly() bool { return o.has(only) }

// HasPayload reports whether bytes may follow its headers.
func (o Opcode) HasPayload() bool { return o.has(payload) }

// HasImm reports whether it has immediate data.
func (o Opcode) HasImm() bool { return o.has(immDt) }

// HasRETH reports whether it names remote memory by address, key and length.
func (o Opcode) HasRETH() bool { return o.has(reth) }

// HasAtomicETH reports whether it has the operands of an atomic operation.
func (o Opcode) HasAtomicETH() bool { return o.has(atomicETH) }

// HasAETH reports whether it has a syndrome and a message sequence number.
func (o Opcode) HasAETH() bool { return o.has(aeth) }

// HasAtomicAckETH reports whether it has the original value of an atomic operation.
func (o Opcode) HasAtomicAckETH() bool { return o.has(atomicAckETH) }

// HasDETH reports whether it has a Q_Key and a source queue pair.
func (o Opcode) HasDETH() bool { return o.has(deth) }
