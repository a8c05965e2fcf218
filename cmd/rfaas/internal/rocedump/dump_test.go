package rocedump

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

func goldenCapture(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("../../../../softroce/wire/testdata", name))
	require.NoError(t, err)
	return b
}

// dump prints a capture in this process.
func dump(capture []byte, options ...func(*Printer)) (stdout string, err error) {
	var b strings.Builder
	d := &Printer{Ports: []uint16{wire.Port}, Out: bufio.NewWriter(&b)}
	for _, o := range options {
		o(d)
	}
	err = d.file("FILE", bytes.NewReader(capture), false)
	d.Out.Flush()
	return b.String(), err
}

// dumped is dump of a capture in which nothing is wrong.
func dumped(t *testing.T, capture []byte, options ...func(*Printer)) (stdout string) {
	t.Helper()
	stdout, err := dump(capture, options...)
	require.NoError(t, err)
	return stdout
}

func quietly(d *Printer) { d.Quiet = true }

var (
	roceClient = netip.MustParseAddrPort("10.0.0.1:50000")
	roceServer = netip.MustParseAddrPort("10.0.0.2:4791")

	v6Client = netip.MustParseAddrPort("[fd00::1]:50000")
	v6Server = netip.MustParseAddrPort("[fd00::2]:4791")
)

// sealed is an IP packet with a datagram from the client to the server.
func sealed(p wire.Packet) []byte {
	f := wire.NewFlow(roceClient, roceServer)
	if p.PKey == 0 {
		p.PKey = wire.DefaultPKey
	}
	return wire.Frame{Src: roceClient, Dst: roceServer, ID: 7, Datagram: p.AppendTo(nil, &f, 7)}.AppendIP(nil)
}

// sealedV6 is the same over IPv6, of another client and server.
func sealedV6(payload []byte) []byte {
	f := wire.NewFlow(v6Client, v6Server)
	p := wire.Packet{Opcode: wire.SendOnly, PKey: wire.DefaultPKey, Payload: [2][]byte{payload}}
	return wire.Frame{Src: v6Client, Dst: v6Server, Datagram: p.AppendTo(nil, &f, 0)}.AppendIP(nil)
}

// someTime is when the packets of tests were captured.
var someTime = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)

func captureInfo(data []byte) gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: someTime, CaptureLength: len(data), Length: len(data)}
}

// pcap is a capture of packets on a link.
func pcap(t testing.TB, link layers.LinkType, packets ...[]byte) []byte {
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	require.NoError(t, w.WriteFileHeader(1<<18, link))
	for _, p := range packets {
		require.NoError(t, w.WritePacket(captureInfo(p), p))
	}
	return b.Bytes()
}

func TestDumpFields(t *testing.T) {
	t.Parallel()
	payload := [2][]byte{[]byte("hello")}
	for want, p := range map[string]wire.Packet{
		"SEND FIRST qp=0x11 psn=5 flags=SE,M,A,FECN,BECN payload=5 icrc=ok": {
			Opcode: wire.SendFirst, Solicited: true, Migrated: true, AckRequest: true, Congested: true, CongestedBack: true, Payload: payload,
		},
		"SEND LAST IMM qp=0x11 psn=5 imm=0xfe payload=0 icrc=ok":                             {Opcode: wire.SendLastImm, Imm: 0xfe},
		"SEND ONLY qp=0x11 psn=5 pkey=0x8001 payload=5 icrc=ok":                              {Opcode: wire.SendOnly, PKey: 0x8001, Payload: payload},
		"WRITE ONLY IMM qp=0x11 psn=5 va=0x1000 rkey=0x2 length=5 imm=0x3 payload=5 icrc=ok": {Opcode: wire.WriteOnlyImm, VA: 4096, RKey: 2, Length: 5, Imm: 3, Payload: payload},
		"READ REQUEST qp=0x11 psn=5 va=0x1000 rkey=0x2 length=5 icrc=ok":                     {Opcode: wire.ReadRequest, VA: 4096, RKey: 2, Length: 5},
		"COMPARE SWAP qp=0x11 psn=5 va=0x1000 rkey=0x2 compare=0x3 swap=0x4 icrc=ok":         {Opcode: wire.CompareSwap, VA: 4096, RKey: 2, Compare: 3, SwapAdd: 4},
		"ACK qp=0x11 psn=5 credits=12 msn=9 icrc=ok":                                         {Opcode: wire.Acknowledge, Syndrome: 7, MSN: 9},
		"ACK qp=0x11 psn=5 RNR=640µs msn=9 icrc=ok":                                          {Opcode: wire.Acknowledge, Syndrome: 0x2c, MSN: 9},
		"ACK qp=0x11 psn=5 NAK=sequence msn=9 icrc=ok":                                       {Opcode: wire.Acknowledge, Syndrome: 0x60, MSN: 9},
		"ACK qp=0x11 psn=5 NAK=invalid-request msn=9 icrc=ok":                                {Opcode: wire.Acknowledge, Syndrome: 0x61, MSN: 9},
		"ACK qp=0x11 psn=5 NAK=remote-access msn=9 icrc=ok":                                  {Opcode: wire.Acknowledge, Syndrome: 0x62, MSN: 9},
		"ACK qp=0x11 psn=5 NAK=remote-operational msn=9 icrc=ok":                             {Opcode: wire.Acknowledge, Syndrome: 0x63, MSN: 9},
		"ACK qp=0x11 psn=5 syndrome=0x64 msn=9 icrc=ok":                                      {Opcode: wire.Acknowledge, Syndrome: 0x64, MSN: 9},
		"opcode 0xc1 qp=0x11 psn=5 flags=BECN bytes=16 icrc=ok":                              {Opcode: 0xc1, CongestedBack: true},
	} {
		p.DestQP, p.PSN = 17, 5
		stdout := dumped(t, pcap(t, layers.LinkTypeRaw, sealed(p)))
		require.Equal(t, "03:04:05.678901234 10.0.0.1:50000 > 10.0.0.2:4791 "+want+
			"\nFILE: 1 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n", stdout)
	}
}

func TestDumpIPv6(t *testing.T) {
	t.Parallel()
	ip := sealedV6(make([]byte, 100))
	stdout := dumped(t, pcap(t, layers.LinkTypeIPv6, ip))
	require.Contains(t, stdout, " [fd00::1]:50000 > [fd00::2]:4791 SEND ONLY qp=0x0 psn=0 payload=100 icrc=ok\n")

	stdout = dumped(t, cutOffAt(t, 40+8+12, ip))
	require.Contains(t, stdout, " SEND ONLY qp=0x0 psn=0 payload=100 cut off\n")
	stdout = dumped(t, cutOffAt(t, 40+8+11, ip))
	require.Contains(t, stdout, " bytes=116 cut off\n")
}

// pcapng has a link type for each interface, and packets without a time.
func TestDumpPcapng(t *testing.T) {
	t.Parallel()
	ip := sealed(wire.Packet{Opcode: wire.Acknowledge})
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeRaw)
	require.NoError(t, err)
	other, err := w.AddInterface(pcapgo.NgInterface{Name: "lo", LinkType: layers.LinkTypeNull, SnapLength: 1 << 18})
	require.NoError(t, err)
	require.NoError(t, w.WritePacket(captureInfo(ip), ip))
	packet := append([]byte{2, 0, 0, 0}, ip...)
	info := captureInfo(packet)
	info.InterfaceIndex = other
	require.NoError(t, w.WritePacket(info, packet))
	require.NoError(t, w.Flush())
	simple := binary.LittleEndian.AppendUint32(nil, 3)
	total := uint32(16 + len(ip))
	simple = binary.LittleEndian.AppendUint32(simple, total)
	simple = binary.LittleEndian.AppendUint32(simple, uint32(len(ip)))
	simple = append(simple, ip...)
	simple = binary.LittleEndian.AppendUint32(simple, total)
	b.Write(simple)

	stdout := dumped(t, b.Bytes())
	rest := "10.0.0.1:50000 > 10.0.0.2:4791 ACK qp=0x0 psn=0 credits=0 msn=0 icrc=ok\n"
	require.Equal(t, "03:04:05.678901234 "+rest+"03:04:05.678901234 "+rest+"- "+rest+
		"FILE: 3 packets: 3 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n", stdout)

	_, err = dump(b.Bytes()[:b.Len()-3])
	require.EqualError(t, err, "FILE: ends in the middle of packet 3: it is still being written, or was cut off; copy or capture it again")
	_, err = dump(b.Bytes()[:10])
	require.EqualError(t, err, "FILE: the header of the capture is damaged (unexpected EOF): capture or copy it again")
}

func TestDumpCompressed(t *testing.T) {
	t.Parallel()
	capture := goldenCapture(t, "write-8.pcap")
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(capture)
	require.NoError(t, w.Close())

	want := dumped(t, capture)
	stdout := dumped(t, b.Bytes())
	require.Equal(t, want, stdout)

	_, err := dump(b.Bytes()[:b.Len()/2])
	require.ErrorContains(t, err, "FILE: ends in the middle of packet ")
	_, err = dump(b.Bytes()[:5])
	require.ErrorContains(t, err, "FILE: is damaged (unexpected EOF): copy it again")
}

func TestDumpWrongPackets(t *testing.T) {
	t.Parallel()
	good := sealed(wire.Packet{Opcode: wire.SendOnly, PSN: 1, Payload: [2][]byte{make([]byte, 8)}})
	corrupted := slices.Clone(good)
	corrupted[len(corrupted)-5] ^= 1
	malformed := sealed(wire.Packet{Opcode: wire.Acknowledge, PSN: 2, Payload: [2][]byte{make([]byte, 8)}})
	version := slices.Clone(good)
	version[29] |= 1
	elsewhere := slices.Clone(good)
	binary.BigEndian.PutUint16(elsewhere[20:], 4791)
	binary.BigEndian.PutUint16(elsewhere[22:], 4792)
	capture := pcap(t, layers.LinkTypeRaw, good, corrupted, malformed, version, elsewhere, []byte("no IP"), nil)

	stdout, err := dump(capture)
	const flow = "03:04:05.678901234 10.0.0.1:50000 > 10.0.0.2:4791 "
	wrong := flow + "SEND ONLY qp=0x0 psn=1 payload=8 icrc=BAD\n" +
		flow + "malformed (payload in a packet that has none) bytes=28 icrc=ok\n" +
		flow + "malformed (unknown transport header version) bytes=24 icrc=BAD\n" +
		"FILE: 7 packets: 4 RoCEv2, 2 bad ICRC, 2 malformed, 0 cut off, 3 other (2 not read: headers cut off 2)\n"
	require.Equal(t, flow+"SEND ONLY qp=0x0 psn=1 payload=8 icrc=ok\n"+wrong, stdout)
	require.EqualError(t, err, "FILE: the ICRC of 2 of 4 RoCEv2 packets does not hold: they were changed on their way, or the sender computes another one\n"+
		"FILE: 2 of 4 RoCEv2 packets are malformed; if something else uses their port, say which one is RoCEv2's with --port")

	stdout, err = dump(capture, quietly)
	require.Error(t, err)
	require.Equal(t, wrong, stdout)

	_, cut := dump(capture[:len(capture)-1])
	require.EqualError(t, cut, "FILE: ends in the middle of packet 7: it is still being written, or was cut off; copy or capture it again\n"+err.Error())

	elsewhereOnly, err := dump(capture, func(d *Printer) { d.Ports = []uint16{4792, 4793} })
	require.ErrorContains(t, err, "FILE: the ICRC of 1 of 1 RoCEv2 packets does not hold", "the port is covered")
	require.Contains(t, elsewhereOnly, "FILE: 7 packets: 1 RoCEv2, 1 bad ICRC, 0 malformed, 0 cut off, 6 other (2 not read: headers cut off 2)\n")
}

// cutOffAt is a capture that kept so many bytes of each packet.
func cutOffAt(t *testing.T, snap int, packets ...[]byte) []byte {
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	require.NoError(t, w.WriteFileHeader(uint32(snap), layers.LinkTypeRaw))
	for _, p := range packets {
		info := captureInfo(p)
		info.CaptureLength = min(len(p), snap)
		require.NoError(t, w.WritePacket(info, p[:info.CaptureLength]))
	}
	return b.Bytes()
}

func TestDumpCutOff(t *testing.T) {
	t.Parallel()
	ack := sealed(wire.Packet{Opcode: wire.Acknowledge})
	long := sealed(wire.Packet{Opcode: wire.WriteOnly, PSN: 3, VA: 4096, RKey: 2, Length: 1000, Payload: [2][]byte{make([]byte, 1000)}})
	for _, c := range []struct {
		snap int
		want string
	}{
		{20 + 8 + 28, "WRITE ONLY qp=0x0 psn=3 va=0x1000 rkey=0x2 length=1000 payload=1000 cut off\n"},
		{len(long) - 1, "WRITE ONLY qp=0x0 psn=3 va=0x1000 rkey=0x2 length=1000 payload=1000 cut off\n"},
		{20 + 8 + 27, "bytes=1032 cut off\n"},
		{20 + 8 + 1, "bytes=1032 cut off\n"},
		{20 + 8, "bytes=1032 cut off\n"},
	} {
		stdout := dumped(t, cutOffAt(t, c.snap, long))
		require.Equal(t, "03:04:05.678901234 10.0.0.1:50000 > 10.0.0.2:4791 "+c.want+
			"FILE: 1 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 1 cut off, 0 other\n", stdout)
	}
	stdout := dumped(t, cutOffAt(t, len(ack), ack, long), quietly)
	require.Equal(t, "FILE: 2 packets: 2 RoCEv2, 0 bad ICRC, 0 malformed, 1 cut off, 0 other\n", stdout)
	stdout = dumped(t, cutOffAt(t, 19, long))
	require.Equal(t, "FILE: 1 packets: 0 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 1 other (1 not read: headers cut off 1)\n", stdout, "not even a port")
}

// What segmentation offload joined is several packets, with identifications that
// follow the first one's.
func TestDumpJoined(t *testing.T) {
	t.Parallel()
	f := wire.NewFlow(roceClient, roceServer)
	var datagrams []byte
	for i, n := range []int{256, 256, 256, 100} {
		p := wire.Packet{Opcode: wire.WriteMiddle, PKey: wire.DefaultPKey, PSN: uint32(i), Payload: [2][]byte{make([]byte, n)}}
		datagrams = p.AppendTo(datagrams, &f, uint16(7+i))
	}
	joined := func(id uint16) []byte {
		ip := wire.Frame{Src: roceClient, Dst: roceServer, ID: id, Datagram: datagrams}.AppendIP(nil)
		return pcap(t, layers.LinkTypeRaw, ip)
	}
	stdout := dumped(t, joined(7))
	var want strings.Builder
	for i, n := range []int{256, 256, 256, 100} {
		fmt.Fprintf(&want, "03:04:05.678901234 10.0.0.1:50000 > 10.0.0.2:4791 WRITE MIDDLE qp=0x0 psn=%d payload=%d icrc=ok\n", i, n)
	}
	require.Equal(t, want.String()+"FILE: 1 packets: 4 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n", stdout)

	_, err := dump(joined(8))
	require.ErrorContains(t, err, "the ICRC of 1 of 1 RoCEv2 packets does not hold")

	datagrams[300] ^= 1
	stdout, err = dump(joined(7))
	require.ErrorContains(t, err, "the ICRC of 1 of 4 RoCEv2 packets does not hold")
	require.Contains(t, stdout, "psn=1 payload=256 icrc=BAD\n")
}

func TestDumpDamagedFiles(t *testing.T) {
	t.Parallel()
	golden := goldenCapture(t, "write-8.pcap")
	const fileHeader, packetHeader = 24, 16
	first := int(binary.LittleEndian.Uint32(golden[fileHeader+8:]))
	second := fileHeader + packetHeader + first
	const middle = ": it is still being written, or was cut off; copy or capture it again"
	for _, c := range []struct {
		name    string
		capture []byte
		want    string
		packets int // that are printed nevertheless; -1 for not even a count
	}{
		{"nothing", nil, "FILE: is empty, not even the header of a capture is there: capture again (tcpdump -U writes each packet at once)", -1},
		{"half a header", golden[:20], "FILE: ends within the header of the capture: capture or copy it again", -1},
		{"text", []byte("This is no capture, but a text that is long enough."), "FILE: is no capture (Unknown magic 73696854), it begins with 54686973: dump reads pcap and pcapng files, as of tcpdump -w", -1},
		{"a little text", []byte("Th"), "FILE: ends within the header of the capture: capture or copy it again", -1},
		{"header only", golden[:fileHeader], "", 0},
		{"half a packet header", golden[:fileHeader+8], "FILE: ends in the middle of packet 1" + middle, 0},
		{"no packet after its header", golden[:second+packetHeader], "FILE: ends in the middle of packet 2" + middle, 1},
		{"half a packet", golden[:second+packetHeader+20], "FILE: ends in the middle of packet 2" + middle, 1},
		{"absurd length", slices.Replace(slices.Clone(golden), second+8, second+12, 0xff, 0xff, 0xff, 0x7f),
			"FILE: is damaged at packet 2 (capture length exceeds snap length: 2147483647 > 65536): copy or capture it again", 1},
	} {
		stdout, err := dump(c.capture)
		if c.want == "" {
			require.NoError(t, err, c.name)
		} else {
			require.EqualError(t, err, c.want, c.name)
		}
		if c.packets < 0 {
			require.Empty(t, stdout, c.name)
			continue
		}
		require.Equal(t, c.packets+1, strings.Count(stdout, "\n"), c.name)
		require.Contains(t, stdout, fmt.Sprintf("FILE: %d packets: ", c.packets), c.name)
	}
}

// Whatever is in a file, dump ends with an error or without, and prints as many
// lines as it counts.
func FuzzDump(f *testing.F) {
	for _, name := range []string{"write-8.pcap", "fetch-add.pcap", "rdmacm-rping.pcap"} {
		f.Add(goldenCapture(f, name))
	}
	ip := sealed(wire.Packet{Opcode: wire.Acknowledge})
	for _, link := range []layers.LinkType{layers.LinkTypeRaw, layers.LinkTypeNull, layers.LinkTypeLinuxSLL2} {
		f.Add(pcap(f, link, ip, nil, ip))
	}
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeRaw)
	require.NoError(f, err)
	require.NoError(f, w.WritePacket(captureInfo(ip), ip))
	require.NoError(f, w.Flush())
	f.Add(b.Bytes())
	for _, c := range opcodeCases() {
		f.Add(pcap(f, layers.LinkTypeRaw, c.packet))
	}
	for _, c := range encapsulationCases(ip) {
		f.Add(pcap(f, layers.LinkTypeRaw, c.packet))
	}
	f.Fuzz(func(t *testing.T, capture []byte) {
		stdout, err := dump(capture)
		if stdout == "" {
			require.Error(t, err)
			return
		}
		lines := strings.SplitAfter(strings.TrimSuffix(stdout, "\n"), "\n")
		var packets, roce int
		_, err = fmt.Sscanf(lines[len(lines)-1], "FILE: %d packets: %d RoCEv2, ", &packets, &roce)
		require.NoError(t, err)
		require.Len(t, lines, roce+1)
	})
}
