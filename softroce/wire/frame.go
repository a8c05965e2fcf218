package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// What is wrong with a packet around its datagram.
var (
	ErrNotIP    = errors.New("wire: not an IP packet")
	ErrNotUDP   = errors.New("wire: not a UDP packet")
	ErrOptions  = errors.New("wire: IPv4 options")
	ErrFragment = errors.New("wire: fragment of an IP packet")
	ErrIPLength = errors.New("wire: lengths of the IP and UDP headers do not fit")
)

// Frame is an IP packet that carries a UDP datagram.
type Frame struct {
	Src, Dst netip.AddrPort
	ID       uint16 // IPv4 identification
	Datagram []byte // payload of UDP; a part of the packet that was parsed
}

// IsVLAN reports whether an EtherType is that of a VLAN tag: of four bytes, which end
// with the next EtherType.
func IsVLAN(etherType uint16) bool {
	const customer, service, serviceFormerly = 0x8100, 0x88a8, 0x9100 // the last before there was a standard
	return etherType == customer || etherType == service || etherType == serviceFormerly
}

// ParseIP reads an IP packet that carries a UDP datagram. What follows the packet
// is ignored, as Ethernet pads short ones. IPv4 options, IPv6 extension headers
// and fragments are refused; checksums are not verified, as captures of what was
// sent often lack them.
func ParseIP(b []byte) (Frame, error) {
	if len(b) == 0 {
		return Frame{}, ErrTruncated
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b)
	case 6:
		return parseIPv6(b)
	}
	return Frame{}, ErrNotIP
}

func parseIPv4(b []byte) (Frame, error) {
	if len(b) < ipv4Bytes {
		return Frame{}, ErrTruncated
	}
	switch headerWords := b[0] & 0x0f; {
	case headerWords < ipv4Bytes/4:
		return Frame{}, ErrIPLength
	case headerWords > ipv4Bytes/4:
		return Frame{}, ErrOptions
	case b[ipv4Protocol] != protocolUDP:
		return Frame{}, ErrNotUDP
	case binary.BigEndian.Uint16(b[ipv4Flags:])&ipv4Fragment != 0:
		return Frame{}, ErrFragment
	}
	f := Frame{ID: binary.BigEndian.Uint16(b[ipv4ID:])}
	n := int(binary.BigEndian.Uint16(b[ipv4TotalLength:])) - ipv4Bytes
	src := netip.AddrFrom4([4]byte(b[ipv4Source:]))
	dst := netip.AddrFrom4([4]byte(b[ipv4Destination:]))
	if err := f.parseUDP(b[ipv4Bytes:], n, src, dst); err != nil {
		return Frame{}, err
	}
	return f, nil
}

func parseIPv6(b []byte) (Frame, error) {
	if len(b) < ipv6Bytes {
		return Frame{}, ErrTruncated
	}
	if b[ipv6NextHeader] != protocolUDP {
		return Frame{}, ErrNotUDP
	}
	var f Frame
	n := int(binary.BigEndian.Uint16(b[ipv6PayloadLength:]))
	src := netip.AddrFrom16([16]byte(b[ipv6Source:]))
	dst := netip.AddrFrom16([16]byte(b[ipv6Destination:]))
	if err := f.parseUDP(b[ipv6Bytes:], n, src, dst); err != nil {
		return Frame{}, err
	}
	return f, nil
}

// parseUDP reads the n bytes that the IP header announces of b.
func (f *Frame) parseUDP(b []byte, n int, src, dst netip.Addr) error {
	if n < udpBytes {
		return ErrIPLength
	}
	if len(b) < n {
		return ErrTruncated
	}
	if int(binary.BigEndian.Uint16(b[udpLength:])) != n {
		return ErrIPLength
	}
	f.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b[udpSource:]))
	f.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[udpDestination:]))
	f.Datagram = b[udpBytes:n:n]
	return nil
}

// CheckIP reports whether the ICRC of an IP packet's datagram holds, exactly,
// over all headers. For packets that ParseIP refuses it is false.
func CheckIP(b []byte) bool {
	f, err := ParseIP(b)
	if err != nil || len(f.Datagram) < bthBytes+ICRCBytes {
		return false
	}
	ipBytes := ipv6Bytes
	if f.Src.Addr().Is4() {
		ipBytes = ipv4Bytes
	}
	var h headers
	copy(h[:ipBytes+udpBytes], b)
	end := len(f.Datagram) - ICRCBytes
	r := registerBTH(h.register(ipBytes), f.Datagram)
	return ^register(r, f.Datagram[bthBytes:end]) == binary.LittleEndian.Uint32(f.Datagram[end:])
}
