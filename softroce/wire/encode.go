package wire

import (
	"encoding/binary"
	"slices"
)

// The bits of the BTH's bytes 1, 4 and 8.
const (
	bthSolicited  = 0x80
	bthMigrated   = 0x40
	bthPadShift   = 4
	bthVersion    = 0x0f
	bthFECN       = 0x80
	bthBECN       = 0x40
	bthAckRequest = 0x80
)

// encodeHeader writes the BTH and the extension headers, with the pad count that
// the payload asks for, to b, which has room for HeaderBytes of them, and returns
// how many there are. Numbers of 24 bits lose what is above.
func (p *Packet) encodeHeader(b []byte) int {
	n := p.HeaderBytes()
	b = b[:n]
	flags := flag(p.Solicited, bthSolicited) | flag(p.Migrated, bthMigrated) | byte(p.Pad())<<bthPadShift
	be32(b, uint32(p.Opcode)<<24|uint32(flags)<<16|uint32(p.PKey))
	be32(b[4:], uint32(flag(p.Congested, bthFECN)|flag(p.CongestedBack, bthBECN))<<24|p.DestQP&QPNMask)
	be32(b[8:], uint32(flag(p.AckRequest, bthAckRequest))<<24|p.PSN&PSNMask)
	if n == bthBytes {
		return n
	}
	t := opcodeTraits[p.Opcode]
	x := b[bthBytes:]
	switch {
	case t&reth != 0:
		binary.BigEndian.PutUint64(x, p.VA)
		be32(x[8:], p.RKey)
		be32(x[12:], p.Length)
	case t&aeth != 0:
		be32(x, uint32(p.Syndrome)<<24|p.MSN&PSNMask)
		if t&atomicAckETH != 0 {
			binary.BigEndian.PutUint64(x[4:], p.Original)
		}
	case t&atomicETH != 0:
		binary.BigEndian.PutUint64(x, p.VA)
		be32(x[8:], p.RKey)
		binary.BigEndian.PutUint64(x[12:], p.SwapAdd)
		binary.BigEndian.PutUint64(x[20:], p.Compare)
	case t&deth != 0:
		be32(x, p.QKey)
		be32(x[4:], p.SourceQP&QPNMask)
	}
	if t&immDt != 0 {
		be32(b[n-immDtBytes:], p.Imm)
	}
	return n
}

func be32(b []byte, v uint32) { binary.BigEndian.PutUint32(b, v) }

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// Encode writes the whole datagram, with the pad count that the payload asks for,
// pad and ICRC, to b, which has room for DatagramBytes, and returns how many there
// are. Numbers of 24 bits lose what is above. The flow and the IPv4 identification
// are those that it will be sent with; see Flow.Seal. The payload is copied, and the
// ICRC is that of the copy, also if somebody else writes to the payload meanwhile.
func (p *Packet) Encode(b []byte, f *Flow, id uint16) int {
	n := p.encodeHeader(b)
	end := n + p.PayloadBytes()
	size := (end+3)&^3 + ICRCBytes
	b = b[:size]
	r := registerBTH(f.prefix(size, id), b)
	r = registerShort(r, b[bthBytes:n])
	r = registerCopy(r, b[n:], p.Payload[0])
	r = registerCopy(r, b[n+len(p.Payload[0]):], p.Payload[1])
	pad := b[end : size-ICRCBytes]
	clear(pad)
	binary.LittleEndian.PutUint32(b[size-ICRCBytes:], ^registerShort(r, pad))
	return size
}

// AppendTo appends what Encode writes to b, and returns it.
func (p *Packet) AppendTo(b []byte, f *Flow, id uint16) []byte {
	n := p.DatagramBytes()
	b = slices.Grow(b, n)
	p.Encode(b[len(b):len(b)+n], f, id)
	return b[:len(b)+n]
}
