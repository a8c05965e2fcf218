package wire

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var endpoints = []struct {
	name     string
	src, dst netip.AddrPort
}{
	{"IPv4", testSrc, testDst},
	{"IPv4 mapped to IPv6", netip.MustParseAddrPort("[::ffff:192.168.255.1]:65535"), netip.MustParseAddrPort("127.0.0.1:1")},
	{"IPv6", netip.MustParseAddrPort("[2001:db8::1:2]:49153"), netip.MustParseAddrPort("[2001:db8:ffff::3]:4791")},
	{"IPv6 with a zone", netip.MustParseAddrPort("[fe80::1%eth0]:60000"), netip.MustParseAddrPort("[fe80::2%lo]:4791")},
}

var testedIDs = []uint16{0, 1, 2, 0x80, 0x100, 0x1234, 0x7fff, 0x8000, 0xffff}

// random is a source of random numbers that is the same in every run.
func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Whatever the addresses, the length and the identification, the ICRC is the one
// of the bitwise implementation, and all ways of verifying it agree.
func TestFlowAgainstBitwise(t *testing.T) {
	t.Parallel()
	for _, e := range endpoints {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			r := random()
			f := NewFlow(e.src, e.dst)
			for n := range MaxPayloadBytes + 1 {
				if n > 100 && n%97 != 0 && n != MaxPayloadBytes {
					continue
				}
				p := fullPacket(WriteOnly)
				p.Payload[0] = randomBytes(r, n)
				id := testedIDs[n%len(testedIDs)]
				datagram := p.AppendTo(nil, &f, id)
				ip := Frame{Src: e.src, Dst: e.dst, ID: id, Datagram: datagram}.AppendIP(nil)

				require.True(t, bitwiseCheck(ip), n)
				require.True(t, CheckIP(ip), n)
				require.True(t, f.CheckID(datagram, id), n)
				found, ok := f.Check(datagram)
				require.True(t, ok, n)
				if f.ipv6 {
					require.Zero(t, found)
					require.True(t, f.CheckID(datagram, id+1), "IPv6 has no identification")
				} else {
					require.Equal(t, id, found)
					require.False(t, f.CheckID(datagram, id+1))
				}
			}
		})
	}
}

// Check finds every identification.
func TestCheckFindsIdentification(t *testing.T) {
	t.Parallel()
	f := NewFlow(testSrc, testDst)
	p := fullPacket(SendOnly)
	for id := range 1 << 16 {
		found, ok := f.Check(p.AppendTo(nil, &f, uint16(id)))
		require.True(t, ok)
		require.EqualValues(t, id, found)
	}
}

// What an identification would explain is an error where there is none.
func TestCheckIsExactOnIPv6(t *testing.T) {
	t.Parallel()
	p := fullPacket(SendOnly)
	v4, v6 := NewFlow(endpoints[0].src, endpoints[0].dst), NewFlow(endpoints[2].src, endpoints[2].dst)
	with0, with7, datagram := p.AppendTo(nil, &v4, 0), p.AppendTo(nil, &v4, 7), p.AppendTo(nil, &v6, 0)
	for i := range datagram {
		datagram[i] ^= with0[i] ^ with7[i]
	}
	_, ok := v6.Check(datagram)
	require.False(t, ok)
}

// A datagram belongs to one flow in one direction.
func TestFlowsDiffer(t *testing.T) {
	t.Parallel()
	p := fullPacket(SendOnly)
	for _, e := range endpoints {
		f := NewFlow(e.src, e.dst)
		datagram := p.AppendTo(nil, &f, 5)
		for _, other := range []Flow{
			NewFlow(e.dst, e.src),
			NewFlow(netip.AddrPortFrom(e.src.Addr(), e.src.Port()^1), e.dst),
			NewFlow(e.src, netip.AddrPortFrom(e.dst.Addr(), e.dst.Port()^0x100)),
			NewFlow(netip.AddrPortFrom(e.src.Addr().Unmap().Next(), e.src.Port()), e.dst),
			NewFlow(e.src, netip.AddrPortFrom(e.dst.Addr().Unmap().Next(), e.dst.Port())),
		} {
			require.False(t, other.CheckID(datagram, 5), e.name)
			_, ok := other.Check(datagram)
			require.False(t, ok, e.name)
		}
	}
}

// The byte of the BTH that switches write congestion to does not matter, neither
// to whoever seals nor to whoever checks, and checking writes nothing.
func TestCongestionIsNotCovered(t *testing.T) {
	t.Parallel()
	for _, e := range endpoints {
		f := NewFlow(e.src, e.dst)
		p := fullPacket(SendOnly)
		datagram := p.AppendTo(nil, &f, 9)
		p.Congested, p.CongestedBack = false, true
		require.Equal(t, datagram[len(datagram)-4:], p.AppendTo(nil, &f, 9)[len(datagram)-4:])
		for b := range 256 {
			datagram[4] = byte(b)
			before := slices.Clone(datagram)
			_, ok := f.Check(datagram)
			require.True(t, ok)
			require.True(t, f.CheckID(datagram, 9))
			require.Equal(t, before, datagram)
		}
	}
}

func TestCheckLengths(t *testing.T) {
	t.Parallel()
	for _, e := range endpoints {
		f := NewFlow(e.src, e.dst)
		for n := range MaxDatagramBytes + 9 {
			if n > 64 && n < 4000 {
				continue
			}
			// Sealed without regard to what is allowed.
			datagram := make([]byte, n)
			if n >= bthBytes+ICRCBytes {
				datagram[0] = 1
				f.Seal(datagram, 6)
			}
			allowed := n >= 16 && n <= MaxDatagramBytes && n%4 == 0
			require.Equal(t, allowed, f.CheckID(datagram, 6), "%s, %d bytes", e.name, n)
			_, ok := f.Check(datagram)
			require.Equal(t, allowed, ok, "%s, %d bytes", e.name, n)
		}
	}
}

func TestFlowAllocations(t *testing.T) {
	for _, e := range endpoints {
		for _, c := range benchmarked {
			p := c.packet
			f := NewFlow(e.src, e.dst)
			datagram := p.AppendTo(nil, &f, 3)
			ip := Frame{Src: e.src, Dst: e.dst, ID: 3, Datagram: datagram}.AppendIP(nil)
			var decoded Packet
			require.Zero(t, testing.AllocsPerRun(100, func() {
				f := NewFlow(e.src, e.dst)
				f.Seal(datagram, 3)
				if _, ok := f.Check(datagram); !ok || !f.CheckID(datagram, 3) || !CheckIP(ip) {
					panic("the ICRC does not hold")
				}
				if decoded.Decode(datagram) != nil || decoded.Decode(datagram[:17]) == nil {
					panic("decoded wrongly")
				}
				p.AppendTo(datagram[:0], &f, 3)
			}), "%s, %s", e.name, c.name)
		}
	}
}
