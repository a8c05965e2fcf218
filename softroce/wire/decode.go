package wire

import (
	"encoding/binary"
	"errors"
)

// What is wrong with a packet.
var (
	ErrTruncated = errors.New("wire: packet is shorter than its headers say")
	ErrVersion   = errors.New("wire: unknown transport header version")
	ErrOpcode    = errors.New("wire: unknown opcode")
	ErrLength    = errors.New("wire: packet is not a multiple of four bytes long")
	ErrPad       = errors.New("wire: more pad than payload")
	ErrPayload   = errors.New("wire: payload in a packet that has none")
)

// Decode reads a datagram, the payload of UDP with the ICRC at its end, which it
// does not verify. Reserved bits and the content of the pad do not matter.
//
// The payload is a part of the datagram, not a copy. The error is one of those
// above; with ErrOpcode the fields of the BTH are set, otherwise what p holds
// after an error means nothing.
func (p *Packet) Decode(datagram []byte) error {
	if len(datagram) < bthBytes+ICRCBytes {
		return ErrTruncated
	}
	if datagram[1]&bthVersion != 0 {
		return ErrVersion
	}
	bth := datagram[:bthBytes]
	o := Opcode(bth[0])
	*p = Packet{
		Opcode:        o,
		Solicited:     bth[1]&bthSolicited != 0,
		Migrated:      bth[1]&bthMigrated != 0,
		AckRequest:    bth[8]&bthAckRequest != 0,
		Congested:     bth[4]&bthFECN != 0,
		CongestedBack: bth[4]&bthBECN != 0,
		PKey:          binary.BigEndian.Uint16(bth[2:]),
		DestQP:        u32(bth[4:]) & QPNMask,
		PSN:           u32(bth[8:]) & PSNMask,
	}
	t := opcodeTraits[o]
	if t == 0 {
		return ErrOpcode
	}
	n, end := int(headerBytes[o]), len(datagram)-ICRCBytes
	if end < n {
		return ErrTruncated
	}
	if end&3 != 0 {
		return ErrLength
	}
	pad := int(bth[1]>>bthPadShift) & 3
	if end-n < pad {
		return ErrPad
	}
	if end != n {
		if t&payload == 0 {
			return ErrPayload
		}
		p.Payload[0] = datagram[n : end-pad : end-pad]
	}
	if n == bthBytes {
		return nil
	}
	x := datagram[bthBytes:n]
	switch {
	case t&reth != 0:
		p.VA = binary.BigEndian.Uint64(x)
		p.RKey = u32(x[8:])
		p.Length = u32(x[12:])
	case t&aeth != 0:
		p.Syndrome = x[0]
		p.MSN = u32(x) & PSNMask
		if t&atomicAckETH != 0 {
			p.Original = binary.BigEndian.Uint64(x[4:])
		}
	case t&atomicETH != 0:
		p.VA = binary.BigEndian.Uint64(x)
		p.RKey = u32(x[8:])
		p.SwapAdd = binary.BigEndian.Uint64(x[12:])
		p.Compare = binary.BigEndian.Uint64(x[20:])
	case t&deth != 0:
		p.QKey = u32(x)
		p.SourceQP = u32(x[4:]) & QPNMask
	}
	if t&immDt != 0 {
		p.Imm = u32(datagram[n-immDtBytes:])
	}
	return nil
}

func u32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
