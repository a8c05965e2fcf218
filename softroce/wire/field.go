package wire

// field is what a field of 16 bits in the headers of IP and UDP adds to the
// register at their end: for each value of its upper and of its lower byte.
type field [2][256]uint32

func (f *field) of(v uint16) uint32 { return f[0][v>>8] ^ f[1][byte(v)] }

var (
	lengthIPv4     = fieldAt(ipv4Bytes, ipv4TotalLength)
	lengthUDP      = fieldAt(ipv4Bytes, ipv4Bytes+udpLength)
	identification = fieldAt(ipv4Bytes, ipv4ID)
	lengthsIPv6    = fieldAt(ipv6Bytes, ipv6PayloadLength, ipv6Bytes+udpLength) // they are equal
)

// fieldAt is the field that is at these offsets of the headers, behind an IP
// header of so many bytes.
func fieldAt(ipBytes int, offsets ...int) (f field) {
	for half := range f {
		for b := 1; b < len(f[half]); b++ {
			if rest := b & (b - 1); rest != 0 {
				f[half][b] = f[half][rest] ^ f[half][b^rest]
				continue
			}
			var h headers
			for _, offset := range offsets {
				h[offset+half] = byte(b)
			}
			f[half][b] = registerShort(0, h[:ipBytes+udpBytes])
		}
	}
	return f
}
