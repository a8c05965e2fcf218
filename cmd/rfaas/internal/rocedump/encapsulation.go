package rocedump

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// maxEncapsulations is how many packets may be within each other.
const maxEncapsulations = 8

// enter notes what a packet is in, and the traffic class of the IP header around
// that.
func (s *search) enter(what string, class uint8) error {
	if s.depth == maxEncapsulations {
		return errDepth
	}
	s.depth++
	s.within = append(append(s.within, "in "+what), describeTrafficClass(class)...)
	return nil
}

// inside looks at what a packet carries that enter has noted.
func (s *search) inside(what string, class uint8, b []byte, look func([]byte) error) error {
	if err := s.enter(what, class); err != nil {
		return err
	}
	return look(b)
}

// The numbers of protocols over IP.
const (
	protocolUDP        = 17
	protocolIPv4       = 4
	protocolIPv6       = 41
	protocolGRE        = 47
	protocolMPLS       = 137
	protocolESP        = 50
	protocolAH         = 51
	optionsHopByHop    = 0
	optionsRouting     = 43
	optionsFragment    = 44
	optionsDestination = 60
)

// protocol looks at what follows an IP header when that is not UDP.
func (s *search) protocol(protocol uint8, ip, b []byte) error {
	switch protocol {
	case protocolIPv4, protocolIPv6, protocolGRE, protocolMPLS:
		if isFragment(ip) {
			return errFragment
		}
		return s.tunnel(protocol, trafficClass(ip), b)
	case protocolESP:
		return notRead("IPsec ESP")
	case protocolAH:
		return notRead("IPsec AH")
	case optionsHopByHop, optionsRouting, optionsFragment, optionsDestination:
		if ip[0]>>4 == 6 {
			return errExtension
		}
	}
	return errOther
}

// tunnel looks at what another IP packet carries, whose header has this traffic
// class.
func (s *search) tunnel(protocol, class uint8, b []byte) error {
	if protocol == protocolGRE {
		return s.gre(class, b)
	}
	if protocol == protocolMPLS {
		return s.inside("IP", class, b, s.mpls)
	}
	return s.inside("IP", class, b, s.ip)
}

// vxlan looks at what VXLAN carries (RFC 7348).
func (s *search) vxlan(class uint8, b []byte) error {
	const headerBytes, hasVNI = 8, 0x08
	if !s.captured(b, headerBytes) {
		return errHeaders
	}
	if b[0]&hasVNI == 0 {
		return notRead("VXLAN without VNI")
	}
	return s.inside(fmt.Sprintf("VXLAN vni=%d", number24(b[4:])), class, b[headerBytes:], s.ethernet)
}

// geneve looks at what Geneve carries (RFC 8926).
func (s *search) geneve(class uint8, b []byte) error {
	const headerBytes = 8
	if !s.captured(b, headerBytes) {
		return errHeaders
	}
	if version := b[0] >> 6; version != 0 {
		return notRead(fmt.Sprintf("Geneve version %d", version))
	}
	whole := headerBytes + int(b[0]&0x3f)*4
	if !s.captured(b, whole) {
		return errHeaders
	}
	if err := s.enter(fmt.Sprintf("Geneve vni=%d", number24(b[4:])), class); err != nil {
		return err
	}
	return s.network(binary.BigEndian.Uint16(b[2:]), b[whole:])
}

// gre looks at what GRE carries (RFC 2784, 2890), ERSPAN included.
func (s *search) gre(class uint8, b []byte) error {
	const (
		headerBytes = 4
		hasChecksum = 0x8000
		hasRouting  = 0x4000
		hasKey      = 0x2000
		hasSequence = 0x1000
		versionMask = 0x0007
		erspan      = 0x88be
		erspan3     = 0x22eb
	)
	if !s.captured(b, headerBytes) {
		return errHeaders
	}
	flags, carried := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if version := flags & versionMask; version != 0 || flags&hasRouting != 0 {
		return notRead("GRE of another version, or with routing")
	}
	whole := headerBytes
	for _, option := range []uint16{hasChecksum, hasKey, hasSequence} {
		if flags&option != 0 {
			whole += 4
		}
	}
	if !s.captured(b, whole) {
		return errHeaders
	}
	switch {
	case carried == erspan && flags&hasSequence == 0:
		return s.inside("ERSPAN", class, b[whole:], s.ethernet) // without a header of its own
	case carried == erspan:
		return s.erspan2(class, b[whole:])
	case carried == erspan3:
		return s.erspan3(class, b[whole:])
	}
	what := "GRE"
	if flags&hasKey != 0 {
		at := headerBytes
		if flags&hasChecksum != 0 {
			at += 4
		}
		what = fmt.Sprintf("GRE key=%#x", binary.BigEndian.Uint32(b[at:]))
	}
	if err := s.enter(what, class); err != nil {
		return err
	}
	return s.network(carried, b[whole:])
}

// The header of ERSPAN (draft-foschiano-erspan).
const (
	erspan2Version = 1
	erspan3Version = 2
	erspanSession  = 0x3ff
)

// erspan2 looks at a mirrored frame behind a header of type II.
func (s *search) erspan2(class uint8, b []byte) error {
	const headerBytes = 8
	if !s.captured(b, headerBytes) {
		return errHeaders
	}
	if b[0]>>4 != erspan2Version {
		return notRead("ERSPAN of an unknown version")
	}
	return s.mirrored(class, b, headerBytes)
}

// erspan3 looks at a mirrored frame behind a header of type III.
func (s *search) erspan3(class uint8, b []byte) error {
	const (
		headerBytes   = 12
		platformBytes = 8
		hasPlatform   = 0x0001
		frameType     = 0x7c00
		typeEthernet  = 0
	)
	if !s.captured(b, headerBytes) {
		return errHeaders
	}
	if b[0]>>4 != erspan3Version {
		return notRead("ERSPAN of an unknown version")
	}
	flags, whole := binary.BigEndian.Uint16(b[10:]), headerBytes
	if flags&hasPlatform != 0 {
		whole += platformBytes
	}
	if !s.captured(b, whole) {
		return errHeaders
	}
	if flags&frameType != typeEthernet {
		return notRead("ERSPAN of another frame than Ethernet's")
	}
	return s.mirrored(class, b, whole)
}

// mirrored looks at a frame behind a header of n bytes, which has the session.
func (s *search) mirrored(class uint8, b []byte, n int) error {
	return s.inside(fmt.Sprintf("ERSPAN session=%d", binary.BigEndian.Uint16(b[2:])&erspanSession), class, b[n:], s.ethernet)
}

// mpls looks at what a stack of labels carries (RFC 3032): IP, or Ethernet behind
// a control word (RFC 4385, 4448). The stack does not say which.
func (s *search) mpls(b []byte) error {
	const entryBytes, bottom, controlBytes, maxLabels = 4, 0x01, 4, 16
	var labels []string
	for more := true; more; b = b[entryBytes:] {
		if !s.captured(b, entryBytes) {
			return errHeaders
		}
		labels = append(labels, fmt.Sprint(number24(b)>>4))
		more = b[2]&bottom == 0
		if more && len(labels) == maxLabels {
			return errDepth
		}
	}
	if !s.captured(b, 1) {
		return errHeaders
	}
	if err := s.enter("MPLS label="+strings.Join(labels, ","), 0); err != nil {
		return err
	}
	switch b[0] >> 4 {
	case 4, 6:
		return s.ip(b)
	case 0:
		return s.behind(controlBytes, b, s.ethernet)
	}
	return notRead("MPLS of what is neither IP nor Ethernet with a control word")
}

// number24 is the number in the first three bytes.
func number24(b []byte) uint32 { return binary.BigEndian.Uint32(b) >> 8 }
