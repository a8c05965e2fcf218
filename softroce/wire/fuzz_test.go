package wire

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// seeds gives each target a packet of every opcode of each capture.
func seeds(f *testing.F, add func(c captured)) {
	type kind struct {
		file   string
		opcode byte
	}
	seen := map[kind]bool{}
	for _, c := range golden(f) {
		k := kind{c.file, c.Datagram[0]}
		if !seen[k] {
			seen[k] = true
			add(c)
		}
	}
}

// What decodes encodes to the same bytes again, reserved bits excepted.
func FuzzDecode(f *testing.F) {
	seeds(f, func(c captured) { f.Add(c.Datagram) })
	flow := NewFlow(testSrc, testDst)
	for o := range layouts {
		p := fullPacket(o)
		f.Add(p.AppendTo(nil, &flow, 0))
	}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		before := slices.Clone(datagram)
		var p Packet
		err := p.Decode(datagram)
		require.Equal(t, before, datagram)
		if err != nil {
			return
		}
		require.Equal(t, len(datagram), p.DatagramBytes())

		canonical := before
		canonical[4] &= 0xc0
		canonical[8] &= 0x80
		if p.Opcode.IsUD() {
			canonical[16] = 0
		}
		end := len(canonical) - ICRCBytes
		clear(canonical[end-p.Pad() : end])
		encoded := p.AppendTo(nil, &flow, 0)
		require.Equal(t, canonical[:end], encoded[:end])

		var again Packet
		require.NoError(t, again.Decode(encoded))
		require.Empty(t, cmp.Diff(p, again))
	})
}

// Check passes what CheckID passes with the identification that it returns, and
// nothing else; both agree with the bitwise implementation.
func FuzzCheck(f *testing.F) {
	seeds(f, func(c captured) { f.Add(c.Datagram, c.ID, false) })
	f.Add(make([]byte, 16), uint16(0), true)
	f.Fuzz(func(t *testing.T, datagram []byte, id uint16, ipv6 bool) {
		e := endpoints[0]
		if ipv6 {
			e = endpoints[2]
		}
		flow := NewFlow(e.src, e.dst)
		verify := func(id uint16) bool {
			before := slices.Clone(datagram)
			exact := flow.CheckID(datagram, id)
			found, ok := flow.Check(datagram)
			require.Equal(t, before, datagram)
			if exact {
				require.True(t, ok)
			}
			if ok {
				require.True(t, flow.CheckID(datagram, found))
				require.Equal(t, exact, found == id || ipv6)
			}
			if len(datagram) >= 16 && len(datagram) <= MaxDatagramBytes {
				ip := Frame{Src: e.src, Dst: e.dst, ID: id, Datagram: datagram}.AppendIP(nil)
				holds := bitwiseCheck(ip)
				require.Equal(t, holds, CheckIP(ip))
				require.Equal(t, holds && len(datagram)%4 == 0, exact)
			}
			return ok
		}
		verify(id)
		if n := len(datagram); n >= 16 && n <= MaxDatagramBytes && n%4 == 0 {
			flow.Seal(datagram, id)
			require.True(t, verify(id))
			require.True(t, flow.CheckID(datagram, id))
		}
	})
}

// What is read is inside of the packet, and makes a packet that reads the same.
func FuzzParseIP(f *testing.F) {
	seeds(f, func(c captured) { f.Add(c.ip) })
	for _, e := range endpoints {
		f.Add(Frame{Src: e.src, Dst: e.dst, Datagram: make([]byte, 16)}.AppendIP(nil))
	}
	f.Fuzz(func(t *testing.T, ip []byte) {
		frame, err := ParseIP(ip)
		holds := CheckIP(ip)
		if err != nil {
			require.Equal(t, Frame{}, frame)
			require.False(t, holds)
			return
		}
		again, err := ParseIP(frame.AppendIP(nil))
		require.NoError(t, err)
		if !frame.Src.Addr().Is4In6() || !frame.Dst.Addr().Is4In6() {
			require.Equal(t, frame.Src, again.Src)
			require.Equal(t, frame.Dst, again.Dst)
			require.Equal(t, frame.ID, again.ID)
		}
		require.Equal(t, frame.Datagram, again.Datagram)

		headers := 28
		if ip[0]>>4 == 6 {
			headers = 48
		}
		whole := ip[:headers+len(frame.Datagram)]
		require.Equal(t, whole[headers:], frame.Datagram)
		require.Equal(t, len(frame.Datagram) >= 16 && bitwiseCheck(whole), holds)
	})
}
