package wire

import "encoding/binary"

// bitwiseICRC is the ICRC of an IP packet that ends with one, computed from the
// rule alone, bit by bit, with nothing of the package.
func bitwiseICRC(ip []byte) uint32 {
	covered := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	covered = append(covered, ip[:len(ip)-4]...)
	p := covered[8:]
	var udp []byte
	if p[0] == 0x45 {
		p[1] = 0xff               // type of service
		p[8] = 0xff               // time to live
		p[10], p[11] = 0xff, 0xff // header checksum
		udp = p[20:]
	} else {
		p[0] |= 0x0f                        // traffic class
		p[1], p[2], p[3] = 0xff, 0xff, 0xff // and flow label
		p[7] = 0xff                         // hop limit
		udp = p[40:]
	}
	udp[6], udp[7] = 0xff, 0xff // checksum
	udp[8+4] = 0xff             // BTH: FECN, BECN, reserved

	crc := ^uint32(0)
	for _, b := range covered {
		for bit := range 8 {
			out := crc&1 ^ uint32(b)>>bit&1
			crc >>= 1
			if out != 0 {
				crc ^= 0xedb88320
			}
		}
	}
	return ^crc
}

// bitwiseCheck reports whether the ICRC at the end of an IP packet holds.
func bitwiseCheck(ip []byte) bool {
	return binary.LittleEndian.Uint32(ip[len(ip)-4:]) == bitwiseICRC(ip)
}
