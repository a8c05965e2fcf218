package wire

import (
	"encoding/binary"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// The arithmetic of polynomials, against the definition: a bit shifted into the
// register is a multiplication by x.
func TestPolynomials(t *testing.T) {
	t.Parallel()
	r := random()
	times := func(p uint32) uint32 { // x
		if p&1 != 0 {
			return p>>1 ^ polynomial
		}
		return p >> 1
	}
	for range 10_000 {
		a, b := r.Uint32(), r.Uint32()
		var product, power uint32 = 0, a
		for bit := 31; bit >= 0; bit-- { // the coefficient of x^0 is the uppermost bit
			if b>>bit&1 != 0 {
				product ^= power
			}
			power = times(power)
		}
		require.Equal(t, product, multiply(a, b), "%#x times %#x", a, b)
		require.Equal(t, a, times(divide(a, 1)))
		require.Equal(t, divide(divide(a, 3), 4), divide(a, 7))
	}
}

func TestInverses(t *testing.T) {
	t.Parallel()
	for n, inverse := range inverses {
		bytes := 22 + 4*n // of the headers of IP and UDP after the identification, and the datagram
		power := register(one, make([]byte, bytes))
		require.EqualValues(t, one, multiply(inverse, power), "datagrams of %d bytes", 4*n)
	}
}

// How strong the check without the identification is does not depend on what a
// packet has in it, as the ICRC is linear, but on where an error is, counted from
// the front. So one packet of the greatest length tells for all.
func longestDatagram(f *Flow) []byte {
	p := Packet{Opcode: SendMiddle, Payload: [2][]byte{randomBytes(random(), MaxDatagramBytes-bthBytes-ICRCBytes)}}
	return p.AppendTo(nil, f, 0x1234)
}

// flip changes bits of b, which begin with the bit at, in the order in which the
// CRC takes them.
func flip(b []byte, at int, burst uint) {
	for ; burst != 0; at, burst = at+1, burst>>1 {
		if burst&1 != 0 {
			b[at/8] ^= 1 << (at % 8)
		}
	}
}

// An error is detected wherever it is when it is within three bits in a row.
func TestShortErrorsAreDetected(t *testing.T) {
	t.Parallel()
	f := NewFlow(testSrc, testDst)
	datagram := longestDatagram(&f)
	for at := 0; at+3 <= 8*len(datagram); at++ {
		for _, burst := range []uint{0b1, 0b11, 0b101, 0b111} {
			if last := at + bits.Len(burst) - 1; at/8 <= 4 && last/8 >= 4 {
				continue // the byte that the ICRC does not cover
			}
			flip(datagram, at, burst)
			_, ok := f.Check(datagram)
			require.False(t, ok, "%b at bit %d", burst, at)
			require.False(t, f.CheckID(datagram, 0x1234))
			flip(datagram, at, burst)
		}
	}
}

// Of the errors within a byte, one of 65,536 is not detected.
func TestErrorsOfBytes(t *testing.T) {
	t.Parallel()
	f := NewFlow(testSrc, testDst)
	datagram := longestDatagram(&f)
	changes, missed := 0, 0
	for at := bthBytes; at < len(datagram); at++ {
		before := datagram[at]
		for range 255 {
			datagram[at]++
			changes++
			if _, ok := f.Check(datagram); ok {
				missed++
			}
		}
		datagram[at] = before
	}
	require.InEpsilon(t, changes>>16, missed, 0.5, "of %d", changes)
}

// Of noise, one of 65,536 passes.
func TestNoise(t *testing.T) {
	t.Parallel()
	const tries = 1 << 20
	r := random()
	f := NewFlow(testSrc, testDst)
	datagram := make([]byte, 20)
	missed := 0
	for range tries {
		for at := 0; at < len(datagram); at += 4 {
			binary.LittleEndian.PutUint32(datagram[at:], r.Uint32())
		}
		if _, ok := f.Check(datagram); ok {
			missed++
		}
		require.False(t, f.CheckID(datagram, 0))
	}
	require.InDelta(t, tries>>16, missed, 10)
}
