package wire

import "math/bits"

// explain finds the identification that adds d to the ICRC of a datagram of so
// many bytes, if there is one.
//
// The register is a polynomial modulo that of the CRC, and each bit that follows
// multiplies it by x. Divided by x for every bit after the identification, d
// becomes what was shifted in when the identification was: its 16 bits, and
// nothing else.
func explain(d uint32, datagramBytes int) (id uint16, ok bool) {
	p := multiply(d, inverses[datagramBytes/4])
	return bits.ReverseBytes16(uint16(p >> 16)), uint16(p) == 0
}

// inverses[n] is 1 divided by x for every bit of a packet after the
// identification, when its datagram has 4n bytes.
var inverses = makeInverses()

func makeInverses() (t [MaxDatagramBytes/4 + 1]uint32) {
	const afterID = ipv4Bytes + udpBytes - (ipv4ID + 2) // and then the datagram with the ICRC
	t[0] = divide(one, 8*afterID)
	word := divide(one, 8*4)
	for n := 1; n < len(t); n++ {
		t[n] = multiply(t[n-1], word)
	}
	return t
}

// Polynomials over the integers modulo 2 are kept as the CRC has its register:
// the uppermost bit is 1, the lowest x^31.
const (
	one        = 1 << 31
	polynomial = 0xedb88320 // of the CRC, without x^32
)

// divide is p divided by x, n times.
func divide(p uint32, n int) uint32 {
	for range n {
		if p&one != 0 {
			p = (p^polynomial)<<1 | 1
		} else {
			p <<= 1
		}
	}
	return p
}

// multiply is the product of a and b modulo the polynomial of the CRC.
func multiply(a, b uint32) uint32 {
	p := carryless(a, b) << 1 // its uppermost bit is 1, its lowest x^63
	return uint32(p>>32) ^ register4(0, uint32(p))
}

// carryless multiplies without carries. It takes every fourth bit of the factors
// at a time: then no more than eight bits meet in one, and their sum ends before
// the next.
func carryless(a, b uint32) uint64 {
	const every4th = 0x1111111111111111
	a0, a1, a2, a3 := uint64(a)&every4th, uint64(a)&(every4th<<1), uint64(a)&(every4th<<2), uint64(a)&(every4th<<3)
	b0, b1, b2, b3 := uint64(b)&every4th, uint64(b)&(every4th<<1), uint64(b)&(every4th<<2), uint64(b)&(every4th<<3)
	return (a0*b0^a1*b3^a2*b2^a3*b1)&every4th |
		(a0*b1^a1*b0^a2*b3^a3*b2)&(every4th<<1) |
		(a0*b2^a1*b1^a2*b0^a3*b3)&(every4th<<2) |
		(a0*b3^a1*b2^a2*b1^a3*b0)&(every4th<<3)
}
