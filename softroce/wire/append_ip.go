package wire

import "encoding/binary"

// AppendIP appends the IP packet that carries the datagram of f to b, and returns it.
// It has "don't fragment" and the identification, as a Flow assumes, a time to live of
// 64, and checksums; for captures and raw sockets. The addresses are as for NewFlow.
func (f Frame) AppendIP(b []byte) []byte {
	var h headers
	ipBytes := h.put(f.Src, f.Dst)
	ip, udp := h[:ipBytes], h[ipBytes:ipBytes+udpBytes]
	n := udpBytes + len(f.Datagram)
	binary.BigEndian.PutUint16(udp[udpLength:], uint16(n))
	var addresses []byte
	if ipBytes == ipv4Bytes {
		binary.BigEndian.PutUint16(ip[ipv4TotalLength:], uint16(ipv4Bytes+n))
		binary.BigEndian.PutUint16(ip[ipv4ID:], f.ID)
		ip[ipv4TTL] = timeToLive
		binary.BigEndian.PutUint16(ip[ipv4Checksum:], ^fold(sum(ip)))
		addresses = ip[ipv4Source:]
	} else {
		binary.BigEndian.PutUint16(ip[ipv6PayloadLength:], uint16(n))
		ip[ipv6HopLimit] = timeToLive
		addresses = ip[ipv6Source:]
	}
	checksum := ^fold(sum(addresses) + protocolUDP + uint32(n) + sum(udp) + sum(f.Datagram))
	if checksum == 0 {
		checksum = 0xffff // 0 says that there is none
	}
	binary.BigEndian.PutUint16(udp[udpChecksum:], checksum)
	b = append(b, h[:ipBytes+udpBytes]...)
	return append(b, f.Datagram...)
}

const timeToLive = 64

// sum adds up the words of 16 bits in b. An IP packet does not have so many that
// the sum overflows.
func sum(b []byte) (s uint32) {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// fold brings a sum to 16 bits, adding the carries to it.
func fold(s uint32) uint16 {
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}
