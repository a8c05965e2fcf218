package wire

import (
	"encoding/binary"
	"net/netip"
)

// The parts of the IP and UDP headers.
const (
	ipv4Bytes       = 20 // without options
	ipv4TOS         = 1
	ipv4TotalLength = 2
	ipv4ID          = 4
	ipv4Flags       = 6
	ipv4TTL         = 8
	ipv4Protocol    = 9
	ipv4Checksum    = 10
	ipv4Source      = 12
	ipv4Destination = 16

	ipv4DontFragment = 0x40   // in the byte of the flags
	ipv4Fragment     = 0x3fff // in two bytes: more fragments, or not the first

	ipv6Bytes         = 40
	ipv6FlowLabel     = 1 // three bytes; the first has a part of the traffic class
	ipv6PayloadLength = 4
	ipv6NextHeader    = 6
	ipv6HopLimit      = 7
	ipv6Source        = 8
	ipv6Destination   = 24

	udpBytes       = 8
	udpSource      = 0
	udpDestination = 2
	udpLength      = 4
	udpChecksum    = 6

	protocolUDP = 17
)

// headers has room for an IP and a UDP header.
type headers [ipv6Bytes + udpBytes]byte

// put writes what packets from src to dst have in common, and returns the length
// of the IP header. The addresses are of one family, which decides.
func (h *headers) put(src, dst netip.AddrPort) (ipBytes int) {
	from, to := src.Addr().Unmap(), dst.Addr().Unmap()
	if from.Is4() && to.Is4() {
		ipBytes = ipv4Bytes
		h[0] = 0x45
		h[ipv4Flags] = ipv4DontFragment
		h[ipv4Protocol] = protocolUDP
		*(*[4]byte)(h[ipv4Source:]) = from.As4()
		*(*[4]byte)(h[ipv4Destination:]) = to.As4()
	} else {
		ipBytes = ipv6Bytes
		h[0] = 0x60
		h[ipv6NextHeader] = protocolUDP
		*(*[16]byte)(h[ipv6Source:]) = from.As16()
		*(*[16]byte)(h[ipv6Destination:]) = to.As16()
	}
	udp := h[ipBytes:]
	binary.BigEndian.PutUint16(udp[udpSource:], src.Port())
	binary.BigEndian.PutUint16(udp[udpDestination:], dst.Port())
	return ipBytes
}

// register is the register after the headers, in which everything that routers
// may change counts as ones: the traffic class, the flow label, the time to live
// and the checksums.
func (h headers) register(ipBytes int) uint32 {
	if ipBytes == ipv4Bytes {
		h[ipv4TOS], h[ipv4TTL] = 0xff, 0xff
		h[ipv4Checksum], h[ipv4Checksum+1] = 0xff, 0xff
	} else {
		h[0] |= 0x0f
		h[ipv6FlowLabel], h[ipv6FlowLabel+1], h[ipv6FlowLabel+2] = 0xff, 0xff, 0xff
		h[ipv6HopLimit] = 0xff
	}
	h[ipBytes+udpChecksum], h[ipBytes+udpChecksum+1] = 0xff, 0xff
	return registerShort(initial, h[:ipBytes+udpBytes])
}

// initial is the register after the eight bytes of ones that stand for the
// header of a local network, which RoCEv2 does not have.
var initial = registerShort(^uint32(0), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
