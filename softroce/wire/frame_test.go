package wire

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// AppendIP makes what the kernel's driver makes, but for the UDP checksum, which
// that leaves out.
func TestAppendIPAgainstGolden(t *testing.T) {
	t.Parallel()
	for _, c := range golden(t) {
		before := []byte("before")
		ip := c.AppendIP(before)[len(before):]
		require.NotZero(t, binary.BigEndian.Uint16(ip[26:]), c)
		ip[26], ip[27] = 0, 0
		require.Equal(t, c.ip, ip, c)
	}
}

// sumsUp verifies an internet checksum that is a part of b: the words add up to
// zero, modulo 65535.
func sumsUp(b []byte) bool {
	if len(b)%2 == 1 {
		b = append(slices.Clone(b), 0)
	}
	total := 0
	for i := 0; i < len(b); i += 2 {
		total += int(b[i])<<8 | int(b[i+1])
	}
	return total%65535 == 0
}

// udpAndPseudoHeader are what the UDP checksum of an IP packet covers.
func udpAndPseudoHeader(ip []byte) (udp, pseudo []byte) {
	udp, pseudo = ip[20:], ip[12:20]
	if ip[0]>>4 == 6 {
		udp, pseudo = ip[40:], ip[8:40]
	}
	return udp, append(slices.Clone(pseudo), 0, 17, byte(len(udp)>>8), byte(len(udp)))
}

func TestAppendIPChecksums(t *testing.T) {
	t.Parallel()
	r := random()
	for _, e := range endpoints {
		for n := range 300 {
			f := Frame{Src: e.src, Dst: e.dst, ID: 4711, Datagram: randomBytes(r, n)}
			ip := f.AppendIP(nil)
			udp, pseudo := udpAndPseudoHeader(ip)
			require.True(t, sumsUp(slices.Concat(pseudo, udp)), "%s, %d bytes", e.name, n)
			require.True(t, ip[0]>>4 == 6 || sumsUp(ip[:20]), "%s, %d bytes", e.name, n)
		}

		// A checksum that is zero is sent as ones: zero says that there is none.
		f := Frame{Src: e.src, Dst: e.dst, Datagram: make([]byte, 16)}
		udp, _ := udpAndPseudoHeader(f.AppendIP(nil))
		copy(f.Datagram, udp[6:8])
		udp, _ = udpAndPseudoHeader(f.AppendIP(nil))
		require.EqualValues(t, 0xffff, binary.BigEndian.Uint16(udp[6:]), e.name)
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for s, want := range map[uint32]uint16{0: 0, 0xffff: 0xffff, 0x10000: 1, 0x1ffff: 1, 0xffffffff: 0xffff, 0x7fff8000: 0xffff, 0x7fff8001: 1} {
		require.Equal(t, want, fold(s), "%#x", s)
	}
}

func TestParseIP(t *testing.T) {
	t.Parallel()
	p := fullPacket(SendOnlyImm)
	for _, e := range endpoints {
		f := NewFlow(e.src, e.dst)
		datagram := p.AppendTo(nil, &f, 77)
		ip := Frame{Src: e.src, Dst: e.dst, ID: 77, Datagram: datagram}.AppendIP(nil)
		whole := len(ip)
		ip = append(ip, "trailer of Ethernet"...)
		got, err := ParseIP(ip)
		require.NoError(t, err)
		require.Equal(t, e.src.Port(), got.Src.Port())
		require.Equal(t, e.dst.Port(), got.Dst.Port())
		require.Equal(t, e.src.Addr().Unmap().WithZone(""), got.Src.Addr())
		require.Equal(t, e.dst.Addr().Unmap().WithZone(""), got.Dst.Addr())
		require.Equal(t, datagram, got.Datagram)
		require.Equal(t, len(datagram), cap(got.Datagram))
		require.Same(t, &ip[whole-1], &got.Datagram[len(datagram)-1])
		require.True(t, CheckIP(ip))
		if f.ipv6 {
			require.Zero(t, got.ID)
		} else {
			require.EqualValues(t, 77, got.ID)
		}
		for n := range whole {
			_, err := ParseIP(ip[:n:n])
			require.Equal(t, ErrTruncated, err, "%s cut off after %d of %d", e.name, n, whole)
			require.False(t, CheckIP(ip[:n:n]))
		}
	}
}

func TestParseIPErrors(t *testing.T) {
	t.Parallel()
	packet := func(e int) []byte {
		f := NewFlow(endpoints[e].src, endpoints[e].dst)
		p := fullPacket(SendOnly)
		return Frame{Src: endpoints[e].src, Dst: endpoints[e].dst, Datagram: p.AppendTo(nil, &f, 0)}.AppendIP(nil)
	}
	const v4, v6 = 0, 2
	for _, c := range []struct {
		name    string
		packet  int
		change  func(b []byte)
		want    error
		sealed4 bool
	}{
		{"version 5", v4, func(b []byte) { b[0] = 0x55 }, ErrNotIP, false},
		{"header too short", v4, func(b []byte) { b[0] = 0x44 }, ErrIPLength, false},
		{"options", v4, func(b []byte) { b[0] = 0x46 }, ErrOptions, false},
		{"TCP", v4, func(b []byte) { b[9] = 6 }, ErrNotUDP, false},
		{"TCP over IPv6", v6, func(b []byte) { b[6] = 6 }, ErrNotUDP, false},
		{"extension header", v6, func(b []byte) { b[6] = 44 }, ErrNotUDP, false},
		{"more fragments", v4, func(b []byte) { b[6] = 0x20 }, ErrFragment, false},
		{"fragment at 8", v4, func(b []byte) { b[7] = 1 }, ErrFragment, false},
		{"fragment far away", v4, func(b []byte) { b[6] = 0x10 }, ErrFragment, false},
		{"total length below the header's", v4, func(b []byte) { b[2], b[3] = 0, 19 }, ErrIPLength, false},
		{"no room for UDP", v4, func(b []byte) { b[2], b[3] = 0, 27 }, ErrIPLength, false},
		{"no room for UDP over IPv6", v6, func(b []byte) { b[4], b[5] = 0, 7 }, ErrIPLength, false},
		{"total length too small", v4, func(b []byte) { b[3]-- }, ErrIPLength, false},
		{"total length too large", v4, func(b []byte) { b[3]++ }, ErrTruncated, false},
		{"payload length too small", v6, func(b []byte) { b[5]-- }, ErrIPLength, false},
		{"payload length too large", v6, func(b []byte) { b[5]++ }, ErrTruncated, false},
		{"UDP length too small", v4, func(b []byte) { b[25]-- }, ErrIPLength, false},
		{"UDP length too large", v4, func(b []byte) { b[25]++ }, ErrIPLength, false},
		{"UDP length too large over IPv6", v6, func(b []byte) { b[45]++ }, ErrIPLength, false},
		{"nothing in UDP", v4, func(b []byte) { b[3], b[25] = 28, 8 }, nil, false},
		{"too short for an ICRC", v4, func(b []byte) { b[3], b[25] = 28+15, 8+15 }, nil, false},
		{"no change", v4, func(b []byte) {}, nil, true},
	} {
		b := packet(c.packet)
		c.change(b)
		_, err := ParseIP(b)
		require.Equal(t, c.want, err, c.name)
		require.Equal(t, c.sealed4, CheckIP(b), c.name)
	}
	alone := packet(v4)[:20]
	alone[2], alone[3] = 0, 20
	_, err := ParseIP(alone)
	require.Equal(t, ErrIPLength, err, "a header, and nothing behind it")
}

func TestIsVLAN(t *testing.T) {
	t.Parallel()
	for etherType, want := range map[uint16]bool{0x8100: true, 0x88a8: true, 0x9100: true, 0x0800: false, 0x86dd: false, 0x0040: false} {
		require.Equal(t, want, IsVLAN(etherType), "%#x", etherType)
	}
}

// CheckIP takes the headers as they are: it does not mind what routers change,
// and minds all else.
func TestCheckIPBytes(t *testing.T) {
	t.Parallel()
	for _, e := range endpoints {
		f := NewFlow(e.src, e.dst)
		p := fullPacket(SendOnly)
		ip := Frame{Src: e.src, Dst: e.dst, ID: 5, Datagram: p.AppendTo(nil, &f, 5)}.AppendIP(nil)
		free := []int{1, 8, 10, 11, 26, 27, 32} // TOS, TTL, checksums, the byte of the BTH
		if f.ipv6 {
			free = []int{1, 2, 3, 7, 46, 47, 52} // flow label, hop limit, checksum, the byte of the BTH
		}
		for at := range ip {
			for change := 1; change < 256; change++ {
				ip[at] ^= byte(change)
				want := slices.Contains(free, at)
				if f.ipv6 && at == 0 {
					want = change < 16 // upper part of the traffic class
				}
				require.Equal(t, want, CheckIP(ip), "%s, byte %d changed by %#x", e.name, at, change)
				ip[at] ^= byte(change)
			}
		}
	}
}

// A sender that does not set "don't fragment" seals another header: it is right
// as it stands, and no packet of a Flow.
func TestCheckIPFlags(t *testing.T) {
	t.Parallel()
	f := NewFlow(testSrc, testDst)
	p := fullPacket(SendOnly)
	ip := Frame{Src: testSrc, Dst: testDst, ID: 5, Datagram: p.AppendTo(nil, &f, 5)}.AppendIP(nil)
	ip[6] = 0
	require.False(t, CheckIP(ip))
	binary.LittleEndian.PutUint32(ip[len(ip)-4:], bitwiseICRC(ip))
	require.True(t, CheckIP(ip))
	require.False(t, f.CheckID(ip[28:], 5))
	_, ok := f.Check(ip[28:])
	require.False(t, ok)
}

// IPv4 addresses in an IPv6 header do not make it one of IPv4.
func TestMappedAddressesInIPv6(t *testing.T) {
	t.Parallel()
	e := endpoints[2]
	ip := Frame{Src: e.src, Dst: e.dst, Datagram: make([]byte, 16)}.AppendIP(nil)
	for _, address := range [][]byte{ip[8:24], ip[24:40]} {
		copy(address, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x09\x00\x01")
	}
	f, err := ParseIP(ip)
	require.NoError(t, err)
	require.Equal(t, "[::ffff:10.9.0.1]:49153", f.Src.String())
	binary.LittleEndian.PutUint32(ip[len(ip)-4:], bitwiseICRC(ip))
	require.True(t, CheckIP(ip))
}
