package rocedump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/gopacket/gopacket/layers"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// search finds the RoCEv2 packet in what was captured.
type search struct {
	ports    []uint16 // UDP destination ports of RoCEv2
	missing  int      // bytes at the end of the packet that were not captured, and are zero
	ipPacket []byte   // the IP packet that was found, with what follows it
	frame    wire.Frame
	within   []string // words for what it is in, the outermost first
	depth    int      // how many packets that is
}

// errOther is a packet that has nothing to do with RoCE.
var errOther = errors.New("another protocol")

// notRead is a packet that may be of RoCE, and is not read. It names what is in
// the way.
type notRead string

func (n notRead) Error() string { return "not read: " + string(n) }

const (
	errHeaders   notRead = "headers cut off"
	errPacket    notRead = "IP packets cut off"
	errLengths   notRead = "IP or UDP lengths that do not fit"
	errFragment  notRead = "IP fragments"
	errOptions   notRead = "IPv4 options"
	errExtension notRead = "IPv6 extension headers"
	errDepth     notRead = "too many encapsulations"
)

// linkNotRead is a packet of a link type that is not read.
type linkNotRead layers.LinkType

func (l linkNotRead) Error() string { return "not read: " + linkName(layers.LinkType(l)) }

// captured says whether b, which ends where the packet does, begins with n bytes
// that were captured.
func (s *search) captured(b []byte, n int) bool { return len(b)-s.missing >= n }

// capturedOfDatagram is how many bytes of the datagram that was found were
// captured, or more if something follows it.
func (s *search) capturedOfDatagram() int {
	const ipv4AndUDP, ipv6AndUDP = 20 + 8, 40 + 8
	headers := ipv6AndUDP
	if s.frame.Src.Addr().Is4() {
		headers = ipv4AndUDP
	}
	return len(s.ipPacket) - s.missing - headers
}

// network looks at what an EtherType says.
func (s *search) network(etherType uint16, b []byte) error {
	const (
		typeIPv4      = 0x0800
		typeBridged   = 0x6558 // an Ethernet frame, in GRE and Geneve
		typeIPv6      = 0x86dd
		typeMPLS      = 0x8847
		typeMPLSMulti = 0x8848
		typePPPoE     = 0x8864
		typeMACsec    = 0x88e5
		typeRoCEv1    = 0x8915
	)
	for wire.IsVLAN(etherType) {
		const tagBytes = 4
		if !s.captured(b, tagBytes) {
			return errHeaders
		}
		etherType, b = binary.BigEndian.Uint16(b[2:]), b[tagBytes:]
	}
	switch etherType {
	case typeIPv4, typeIPv6:
		return s.ip(b)
	case typeBridged:
		return s.ethernet(b)
	case typeMPLS, typeMPLSMulti:
		return s.mpls(b)
	case typePPPoE:
		return notRead("PPPoE")
	case typeMACsec:
		return notRead("MACsec")
	case typeRoCEv1:
		return notRead("RoCE v1")
	}
	return errOther
}

// ip looks at an IP packet.
func (s *search) ip(b []byte) error {
	const ipv4Bytes, ipv4Protocol, ipv6Bytes, ipv6NextHeader, udpBytes = 20, 9, 40, 6, 8
	if !s.captured(b, 1) {
		return errHeaders
	}
	var headerBytes, protocolAt int
	switch b[0] >> 4 {
	case 4:
		headerBytes, protocolAt = int(b[0]&0x0f)*4, ipv4Protocol
		if headerBytes < ipv4Bytes {
			return errLengths
		}
	case 6:
		headerBytes, protocolAt = ipv6Bytes, ipv6NextHeader
	default:
		return errOther
	}
	if !s.captured(b, headerBytes) {
		return errHeaders
	}
	if protocol := b[protocolAt]; protocol != protocolUDP {
		return s.protocol(protocol, b, b[headerBytes:])
	}
	if !s.captured(b, headerBytes+udpBytes) {
		return errHeaders
	}
	frame, err := wire.ParseIP(b)
	switch err {
	case nil:
		return s.udp(b, frame, b[headerBytes+udpBytes:])
	case wire.ErrTruncated:
		return errPacket
	case wire.ErrFragment:
		return errFragment
	case wire.ErrOptions:
		return errOptions
	}
	return errLengths
}

// isFragment says whether an IPv4 header is that of a fragment.
func isFragment(ip []byte) bool {
	const offset, moreOrNotFirst = 6, 0x3fff
	return ip[0]>>4 == 4 && binary.BigEndian.Uint16(ip[offset:])&moreOrNotFirst != 0
}

// trafficClass is the byte of an IP header with DSCP and ECN.
func trafficClass(ip []byte) uint8 {
	if ip[0]>>4 == 4 {
		return ip[1]
	}
	return ip[0]<<4 | ip[1]>>4
}

// describeTrafficClass is what is not zero of DSCP and ECN.
func describeTrafficClass(c uint8) (words []string) {
	if dscp := c >> 2; dscp != 0 {
		words = append(words, fmt.Sprintf("dscp=%d", dscp))
	}
	if ecn := c & 3; ecn != 0 {
		words = append(words, "ecn="+[...]string{"", "ECT(1)", "ECT(0)", "CE"}[ecn])
	}
	return words
}

// udp looks at the payload of UDP, which b continues until the packet's end.
func (s *search) udp(ip []byte, frame wire.Frame, b []byte) error {
	const vxlan, vxlanGPE, geneve = 4789, 4790, 6081
	port := frame.Dst.Port()
	switch {
	case slices.Contains(s.ports, port):
		s.ipPacket, s.frame = ip, frame
		return nil
	case port == vxlan:
		return s.vxlan(trafficClass(ip), b)
	case port == vxlanGPE:
		return notRead("VXLAN-GPE")
	case port == geneve:
		return s.geneve(trafficClass(ip), b)
	}
	return errOther
}
