package wire

import (
	"encoding/binary"
	"hash/crc32"
)

// The ICRC is the CRC-32 of Ethernet. Here it is the bare shift register, which
// unlike the finished CRC is linear: register(a^b) = register(a)^register(b).

// slicing[k][b] is what byte b does to the register when k bytes follow it.
var slicing = makeSlicing()

func makeSlicing() (t [8][256]uint32) {
	t[0] = *crc32.IEEETable
	for k := 1; k < len(t); k++ {
		for b, r := range t[k-1] {
			t[k][b] = r>>8 ^ t[0][byte(r)]
		}
	}
	return t
}

// shortBytes is where hash/crc32, which has vector instructions, becomes quicker
// than tables.
const shortBytes = 64

// registerBlocks takes blocks of blockBytes, foldBytes at least.
const blockBytes, foldBytes = 64, 256

// register shifts b into the register.
func register(r uint32, b []byte) uint32 {
	switch {
	case folds && len(b) >= foldBytes:
		n := len(b) &^ (blockBytes - 1)
		return registerShort(registerBlocks(r, &b[0], n), b[n:])
	case len(b) >= shortBytes:
		return ^crc32.Update(^r, crc32.IEEETable, b)
	}
	return registerShort(r, b)
}

// registerCopy copies b to dst, which has room and does not overlap it, and shifts
// it into the register: the very bytes that were copied, also if somebody else
// writes to b.
func registerCopy(r uint32, dst, b []byte) uint32 {
	dst = dst[:len(b)]
	if folds && len(b) >= foldBytes {
		n := len(b) &^ (blockBytes - 1)
		r = registerCopyBlocks(r, &dst[0], &b[0], n)
		dst, b = dst[n:], b[n:]
	}
	copy(dst, b)
	return register(r, dst)
}

// registerShort shifts b, which is not long, into the register. Unlike register
// it leaves arrays of its callers on their stacks.
func registerShort(r uint32, b []byte) uint32 {
	for len(b) >= 8 {
		r = register8(r, binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
	}
	if len(b) >= 4 {
		r = register4(r, binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	for _, c := range b {
		r = r>>8 ^ slicing[0][byte(r)^c]
	}
	return r
}

// register8 shifts the eight bytes of lo and hi, lowest first, into the
// register. They are two words as they are loaded from a header that was just
// written in words: the processor has to wait for a load that spans two stores.
func register8(r, lo, hi uint32) uint32 {
	lo ^= r
	return slicing[7][byte(lo)] ^ slicing[6][byte(lo>>8)] ^ slicing[5][byte(lo>>16)] ^ slicing[4][lo>>24] ^
		slicing[3][byte(hi)] ^ slicing[2][byte(hi>>8)] ^ slicing[1][byte(hi>>16)] ^ slicing[0][hi>>24]
}

// register4 shifts the four bytes of w, lowest first, into the register.
func register4(r, w uint32) uint32 {
	r ^= w
	return slicing[3][byte(r)] ^ slicing[2][byte(r>>8)] ^ slicing[1][byte(r>>16)] ^ slicing[0][r>>24]
}
