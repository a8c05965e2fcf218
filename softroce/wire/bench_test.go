package wire

import (
	"net/netip"
	"testing"
)

// benchmarked are the two packets that matter: a small message, and the bulk of
// a large one.
var benchmarked = []struct {
	name   string
	packet Packet
}{
	{"WriteOnly8", Packet{Opcode: WriteOnly, PKey: DefaultPKey, DestQP: 17, PSN: 4711, VA: 1 << 40, RKey: 99, Length: 8, Payload: [2][]byte{make([]byte, 8)}}},
	{"WriteMiddle4096", Packet{Opcode: WriteMiddle, PKey: DefaultPKey, DestQP: 17, PSN: 4711, Payload: [2][]byte{make([]byte, 4096)}}},
	{"Acknowledge", Packet{Opcode: Acknowledge, PKey: DefaultPKey, DestQP: 17, PSN: 4711, MSN: 3}},
}

var (
	testSrc = netip.MustParseAddrPort("10.9.0.2:49153")
	testDst = netip.MustParseAddrPort("10.9.0.1:4791")
)

func BenchmarkEncode(b *testing.B) {
	for _, c := range benchmarked {
		b.Run(c.name, func(b *testing.B) {
			f := NewFlow(testSrc, testDst)
			p := c.packet
			datagram := make([]byte, p.DatagramBytes())
			b.ReportAllocs()
			b.SetBytes(int64(len(datagram)))
			for b.Loop() {
				p.Encode(datagram, &f, 0)
			}
		})
	}
}

func BenchmarkCheckDecode(b *testing.B) {
	for _, id := range []uint16{0, 4711} {
		for _, c := range benchmarked {
			b.Run(c.name+map[bool]string{true: "/id=0", false: "/id unknown"}[id == 0], func(b *testing.B) {
				f := NewFlow(testSrc, testDst)
				datagram := c.packet.AppendTo(nil, &f, id)
				var p Packet
				b.ReportAllocs()
				b.SetBytes(int64(len(datagram)))
				for b.Loop() {
					if _, ok := f.Check(datagram); !ok {
						b.Fatal("not sealed")
					}
					if err := p.Decode(datagram); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkNewFlow(b *testing.B) {
	for b.Loop() {
		NewFlow(testSrc, testDst)
	}
}
