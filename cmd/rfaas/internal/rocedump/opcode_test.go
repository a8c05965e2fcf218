package rocedump

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// handMade is an IP packet from the client to the server with a header of these
// bytes behind the BTH, and a payload.
func handMade(opcode wire.Opcode, qp uint32, header, payload string) []byte {
	bth := make([]byte, bthBytes, bthBytes+len(header))
	bth[0], bth[1] = byte(opcode), byte(-len(payload)&3)<<4
	binary.BigEndian.PutUint16(bth[2:], wire.DefaultPKey)
	binary.BigEndian.PutUint32(bth[4:], qp)
	binary.BigEndian.PutUint32(bth[8:], 5)
	b := append(bth, header...)
	f := wire.NewFlow(roceClient, roceServer)
	b = append(b, payload...)
	b = append(b, make([]byte, -len(payload)&3+wire.ICRCBytes)...)
	f.Seal(b, 7)
	return wire.Frame{Src: roceClient, Dst: roceServer, ID: 7, Datagram: b}.AppendIP(nil)
}

// opcodeCase is a packet whose header ends after so many bytes of the IP packet,
// and its line without times, addresses and what is said of the ICRC.
type opcodeCase struct {
	want    string
	packet  []byte
	headers int
}

func opcodeCases() (cases []opcodeCase) {
	const (
		ieth   = "\x00\x00\xab\xcd"
		rdeth  = "\xff\x00\x00\x21" // the first byte is reserved
		deth   = "\x80\x01\x00\x00\xff\x00\x00\x22"
		xrceth = "\xff\x00\x00\x23"
		reth   = "\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x02\x00\x00\x00\x08"
		atomic = "\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x03"
		aeth   = "\x1f\x00\x00\x09"
		value  = "\x00\x00\x00\x00\x00\x00\x00\x06"
		imm    = "\x00\x00\x00\xfe"
	)
	for _, c := range []struct {
		opcode                wire.Opcode
		want, header, payload string
	}{
		{0x16, "SEND LAST INV qp=0x11 psn=5 invalidate-rkey=0xabcd payload=5", ieth, "hello"},
		{0x17, "SEND ONLY INV qp=0x11 psn=5 invalidate-rkey=0xabcd payload=0", ieth, ""},
		{0x1c, "FLUSH qp=0x11 psn=5 placement=0x2 selectivity=1 va=0x1000 rkey=0x2 length=8", "\x00\x00\x00\x12" + reth, ""},
		{0x1d, "ATOMIC WRITE qp=0x11 psn=5 va=0x1000 rkey=0x2 length=8 payload=8", reth, "12345678"},
		{0x81, "CNP qp=0x11 psn=5", strings.Repeat("\x00", 16), ""},

		{0x20, "UC SEND FIRST qp=0x11 psn=5 payload=8", "", "12345678"},
		{0x21, "UC SEND MIDDLE qp=0x11 psn=5 payload=8", "", "12345678"},
		{0x22, "UC SEND LAST qp=0x11 psn=5 payload=5", "", "hello"},
		{0x23, "UC SEND LAST IMM qp=0x11 psn=5 imm=0xfe payload=5", imm, "hello"},
		{0x24, "UC SEND ONLY qp=0x11 psn=5 payload=5", "", "hello"},
		{0x25, "UC SEND ONLY IMM qp=0x11 psn=5 imm=0xfe payload=5", imm, "hello"},
		{0x26, "UC WRITE FIRST qp=0x11 psn=5 va=0x1000 rkey=0x2 length=8 payload=4", reth, "1234"},
		{0x27, "UC WRITE MIDDLE qp=0x11 psn=5 payload=4", "", "1234"},
		{0x28, "UC WRITE LAST qp=0x11 psn=5 payload=4", "", "1234"},
		{0x29, "UC WRITE LAST IMM qp=0x11 psn=5 imm=0xfe payload=4", imm, "1234"},
		{0x2a, "UC WRITE ONLY qp=0x11 psn=5 va=0x1000 rkey=0x2 length=8 payload=8", reth, "12345678"},
		{0x2b, "UC WRITE ONLY IMM qp=0x11 psn=5 va=0x1000 rkey=0x2 length=8 imm=0xfe payload=8", reth + imm, "12345678"},

		{0x40, "RD SEND FIRST qp=0x11 psn=5 ee-context=0x21 qkey=0x80010000 source-qp=0x22 payload=4", rdeth + deth, "1234"},
		{0x45, "RD SEND ONLY IMM qp=0x11 psn=5 ee-context=0x21 qkey=0x80010000 source-qp=0x22 imm=0xfe payload=5", rdeth + deth + imm, "hello"},
		{0x4a, "RD WRITE ONLY qp=0x11 psn=5 ee-context=0x21 qkey=0x80010000 source-qp=0x22 va=0x1000 rkey=0x2 length=8 payload=8", rdeth + deth + reth, "12345678"},
		{0x4c, "RD READ REQUEST qp=0x11 psn=5 ee-context=0x21 qkey=0x80010000 source-qp=0x22 va=0x1000 rkey=0x2 length=8", rdeth + deth + reth, ""},
		{0x4e, "RD READ RESPONSE MIDDLE qp=0x11 psn=5 ee-context=0x21 payload=4", rdeth, "1234"},
		{0x50, "RD READ RESPONSE ONLY qp=0x11 psn=5 ee-context=0x21 credits=unlimited msn=9 payload=5", rdeth + aeth, "hello"},
		{0x51, "RD ACK qp=0x11 psn=5 ee-context=0x21 credits=unlimited msn=9", rdeth + aeth, ""},
		{0x52, "RD ATOMIC ACK qp=0x11 psn=5 ee-context=0x21 credits=unlimited msn=9 original=0x6", rdeth + aeth + value, ""},
		{0x53, "RD COMPARE SWAP qp=0x11 psn=5 ee-context=0x21 qkey=0x80010000 source-qp=0x22 va=0x1000 rkey=0x2 compare=0x3 swap=0x4", rdeth + deth + atomic, ""},
		{0x54, "RD FETCH ADD qp=0x11 psn=5 ee-context=0x21 qkey=0x80010000 source-qp=0x22 va=0x1000 rkey=0x2 add=0x4", rdeth + deth + atomic, ""},
		{0x55, "RD RESYNC qp=0x11 psn=5 ee-context=0x21 qkey=0x80010000 source-qp=0x22 payload=0", rdeth + deth, ""},

		{0x64, "UD SEND ONLY qp=0x11 psn=5 qkey=0x80010000 source-qp=0x22 payload=5", deth, "hello"},
		{0x65, "UD SEND ONLY IMM qp=0x11 psn=5 qkey=0x80010000 source-qp=0x22 imm=0xfe payload=5", deth + imm, "hello"},

		{0xa0, "XRC SEND FIRST qp=0x11 psn=5 srq=0x23 payload=4", xrceth, "1234"},
		{0xab, "XRC WRITE ONLY IMM qp=0x11 psn=5 srq=0x23 va=0x1000 rkey=0x2 length=8 imm=0xfe payload=8", xrceth + reth + imm, "12345678"},
		{0xac, "XRC READ REQUEST qp=0x11 psn=5 srq=0x23 va=0x1000 rkey=0x2 length=8", xrceth + reth, ""},
		{0xae, "XRC READ RESPONSE MIDDLE qp=0x11 psn=5 payload=4", "", "1234"},
		{0xb1, "XRC ACK qp=0x11 psn=5 credits=unlimited msn=9", aeth, ""},
		{0xb2, "XRC ATOMIC ACK qp=0x11 psn=5 credits=unlimited msn=9 original=0x6", aeth + value, ""},
		{0xb4, "XRC FETCH ADD qp=0x11 psn=5 srq=0x23 va=0x1000 rkey=0x2 add=0x4", xrceth + atomic, ""},
		{0xb6, "XRC SEND LAST INV qp=0x11 psn=5 srq=0x23 invalidate-rkey=0xabcd payload=5", xrceth + ieth, "hello"},
		{0xb7, "XRC SEND ONLY INV qp=0x11 psn=5 srq=0x23 invalidate-rkey=0xabcd payload=5", xrceth + ieth, "hello"},
	} {
		headers := 20 + 8 + bthBytes + len(c.header)
		if c.opcode == opcodeCNP {
			headers = 20 + 8 + bthBytes
		}
		cases = append(cases, opcodeCase{c.want, handMade(c.opcode, 0x11, c.header, c.payload), headers})
	}
	return cases
}

// Packets that softroce does not speak are read nevertheless.
func TestDumpOpcodes(t *testing.T) {
	t.Parallel()
	const flow = "03:04:05.678901234 10.0.0.1:50000 > 10.0.0.2:4791 "
	for _, c := range opcodeCases() {
		stdout := dumped(t, pcap(t, layers.LinkTypeRaw, c.packet))
		require.Equal(t, flow+c.want+" icrc=ok\nFILE: 1 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n", stdout)

		stdout = dumped(t, cutOffAt(t, c.headers, c.packet))
		require.Contains(t, stdout, flow+c.want+" cut off\n", "only the headers are there")
		stdout = dumped(t, cutOffAt(t, c.headers-1, c.packet))
		require.Contains(t, stdout, flow+"bytes=", "%s: not even all of the headers are there", c.want)
	}
}

// Every opcode of the specification has a name, and one of its own.
func TestOpcodeNames(t *testing.T) {
	t.Parallel()
	count := map[byte]int{}
	names := map[string]bool{"CNP": true}
	for o := range 256 {
		name := wire.Opcode(o).String()
		f, ok := forms[wire.Opcode(o)]
		if ok {
			require.False(t, wire.Opcode(o).Valid(), "%#x is decoded by package wire", o)
			name = f.name
		}
		if ok || wire.Opcode(o).Valid() {
			require.False(t, names[name], name)
			names[name] = true
			count[byte(o)>>5]++
		}
	}
	require.Equal(t, map[byte]int{0: 21 + 4, 1: 12, 2: 21 + 1, 3: 2, 5: 21 + 2}, count)
}

// What is too short or too long for its opcode is malformed.
func TestDumpMalformedOpcodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		opcode                wire.Opcode
		header, payload, want string
	}{
		{0x17, "", "", "malformed (packet is shorter than its headers say) bytes=16"},
		{0x55, "12345678", "", "malformed (packet is shorter than its headers say) bytes=24"},
		{0x55, "", "", "malformed (packet is shorter than its headers say) bytes=16"},
		{0x51, "1234", "", "malformed (packet is shorter than its headers say) bytes=20"},
		{0x51, "12345678", "1234", "malformed (payload in a packet that has none) bytes=28"},
		{0x81, strings.Repeat("\x00", 12), "", "CNP qp=0x11 psn=5 malformed (packet is shorter than its headers say) bytes=28"},
		{0x81, strings.Repeat("\x00", 16), "1234", "CNP qp=0x11 psn=5 malformed (payload in a packet that has none) bytes=36"},
	} {
		stdout, err := dump(pcap(t, layers.LinkTypeRaw, handMade(c.opcode, 0x11, c.header, c.payload)), quietly)
		require.ErrorContains(t, err, "FILE: 1 of 1 RoCEv2 packets are malformed; ")
		require.Contains(t, stdout, " 10.0.0.1:50000 > 10.0.0.2:4791 "+c.want+" icrc=ok\nFILE: ")
	}
}
