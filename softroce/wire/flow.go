package wire

import (
	"encoding/binary"
	"net/netip"
)

// Flow is the two UDP endpoints of datagrams and their direction: what the ICRC
// covers of their IP and UDP headers. It does not change; any number of
// goroutines may use it.
type Flow struct {
	// base is the register after the headers of a packet whose lengths and
	// identification are 0. They are added to it: the register is linear.
	base uint32
	ipv6 bool
}

// NewFlow is the flow of datagrams from src to dst, which are both IPv4
// (possibly mapped to IPv6) or both IPv6. Zones do not matter.
func NewFlow(src, dst netip.AddrPort) Flow {
	var h headers
	ipBytes := h.put(src, dst)
	return Flow{base: h.register(ipBytes), ipv6: ipBytes == ipv6Bytes}
}

// Seal writes the ICRC to the last four bytes of a datagram of this flow that is
// complete but for them: 16 bytes at least. It does not cover the congestion bits.
// The id is the IPv4 identification that the packet will have, with "don't
// fragment" and no other flag; with IPv6 it does not matter. What Encode writes is
// sealed; this is for datagrams that are put together in other ways.
func (f *Flow) Seal(datagram []byte, id uint16) {
	binary.LittleEndian.PutUint32(datagram[len(datagram)-ICRCBytes:], f.icrc(datagram, id))
}

// CheckID verifies the ICRC of a received datagram of this flow, the payload of
// UDP, whose IPv4 identification is known; with IPv6 it does not matter.
// Datagrams longer than MaxDatagramBytes do not pass.
func (f *Flow) CheckID(datagram []byte, id uint16) bool {
	return checkable(datagram) && f.difference(datagram, id) == 0
}

// Check verifies the ICRC of a received datagram of this flow, the payload of
// UDP, whose IPv4 identification is not known although the ICRC covers it. A
// datagram passes when there is an identification with which the ICRC holds; it
// is returned.
//
// That leaves 16 of 32 bits to detect errors with. One wrong bit, or several
// within three in a row, are always detected; of other errors one in 65,536 is
// not. With IPv6, which has no identification, the check is exact and id is 0.
//
// Datagrams longer than MaxDatagramBytes do not pass.
func (f *Flow) Check(datagram []byte) (id uint16, ok bool) {
	if !checkable(datagram) {
		return 0, false
	}
	d := f.difference(datagram, 0)
	switch {
	case d == 0:
		return 0, true
	case f.ipv6:
		return 0, false
	}
	return explain(d, len(datagram))
}

// checkable reports whether a datagram has an ICRC and a length that packets have.
func checkable(datagram []byte) bool {
	n := len(datagram)
	return n >= bthBytes+ICRCBytes && n <= MaxDatagramBytes && n&3 == 0
}

// difference is the ICRC that the datagram should have, with this identification,
// xor the one it has.
func (f *Flow) difference(datagram []byte, id uint16) uint32 {
	return f.icrc(datagram, id) ^ binary.LittleEndian.Uint32(datagram[len(datagram)-ICRCBytes:])
}

// icrc is the ICRC that the datagram should have, with this identification.
func (f *Flow) icrc(datagram []byte, id uint16) uint32 {
	r := registerBTH(f.prefix(len(datagram), id), datagram)
	return ^register(r, datagram[bthBytes:len(datagram)-ICRCBytes])
}

// prefix is the register after the headers of IP and UDP in front of a datagram.
func (f *Flow) prefix(datagramBytes int, id uint16) uint32 {
	n := uint16(udpBytes + datagramBytes)
	if f.ipv6 {
		return f.base ^ lengthsIPv6.of(n)
	}
	return f.base ^ lengthIPv4.of(ipv4Bytes+n) ^ lengthUDP.of(n) ^ identification.of(id)
}

// registerBTH shifts the BTH that b begins with into the register. The byte of it
// that routers change counts as ones.
func registerBTH(r uint32, b []byte) uint32 {
	r = register8(r, binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])|0xff)
	return register4(r, binary.LittleEndian.Uint32(b[8:]))
}
