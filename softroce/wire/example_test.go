package wire_test

import (
	"fmt"
	"net/netip"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// A packet on its way: encoded, sealed with the ICRC of its addresses, checked and
// decoded.
func Example() {
	flow := wire.NewFlow(netip.MustParseAddrPort("192.0.2.1:49152"), netip.MustParseAddrPort("192.0.2.2:4791"))
	write := wire.Packet{
		Opcode: wire.WriteOnly, AckRequest: true, PKey: wire.DefaultPKey, DestQP: 17, PSN: 100,
		VA: 0x7f0000001000, RKey: 0x1234, Length: 5, Payload: [2][]byte{[]byte("hello")},
	}
	datagram := write.AppendTo(nil, &flow, 0)
	fmt.Println(len(datagram), "bytes, padded by", write.Pad())

	_, ok := flow.Check(datagram)
	fmt.Println("undamaged:", ok)
	var got wire.Packet
	err := got.Decode(datagram)
	fmt.Println(got.Opcode, got.DestQP, got.PSN, string(got.Payload[0]), err)

	datagram[len(datagram)-8] ^= 1
	_, ok = flow.Check(datagram)
	fmt.Println("undamaged:", ok)
	// Output:
	// 40 bytes, padded by 3
	// undamaged: true
	// WRITE ONLY 17 100 hello <nil>
	// undamaged: false
}
