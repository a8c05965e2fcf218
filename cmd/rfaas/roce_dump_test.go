package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// goldenCaptures are those of the kernel's driver.
func goldenCaptures(t testing.TB) []string {
	files, err := filepath.Glob("../../softroce/wire/testdata/*.pcap")
	require.NoError(t, err)
	require.Len(t, files, 16)
	for i, file := range files {
		files[i], err = filepath.Abs(file)
		require.NoError(t, err)
	}
	return files
}

func goldenCapture(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("../../softroce/wire/testdata", name))
	require.NoError(t, err)
	return b
}

func TestRoceDumpGolden(t *testing.T) {
	t.Parallel()
	files := goldenCaptures(t)

	status, stdout, stderr := run(t, t.TempDir(), append([]string{"roce", "dump"}, files...)...)

	require.Equal(t, exitOK, status)
	require.Empty(t, stderr)
	line := regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{6}000 10\.9\.0\.[12]:\d+ > 10\.9\.0\.[12]:4791 ([A-Z]+ )+qp=0x[0-9a-f]+ psn=\d+ .*icrc=ok$`)
	packets, files2 := 0, 0
	for text := range strings.Lines(stdout) {
		text = strings.TrimSuffix(text, "\n")
		if name, counts, ok := strings.Cut(text, ".pcap: "); ok {
			require.Contains(t, files, name+".pcap")
			require.Regexp(t, `^(\d+) packets: \d+ RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other$`, counts)
			files2++
			continue
		}
		packets++
		require.Regexp(t, line, text)
	}
	require.Equal(t, 3604, packets)
	require.Equal(t, len(files), files2)
	for _, want := range []string{
		"02:58:02.982423000 10.9.0.2:49513 > 10.9.0.1:4791 READ REQUEST qp=0x13 psn=15626483 flags=A va=0x556bda135000 rkey=0x435 length=8 icrc=ok\n" +
			"02:58:02.982617000 10.9.0.1:49513 > 10.9.0.2:4791 READ RESPONSE ONLY qp=0x13 psn=15626483 credits=unlimited msn=3 payload=8 icrc=ok\n",
		"FETCH ADD qp=0x14 psn=11797258 flags=A va=0x5584f8a51000 rkey=0x527 add=0x1 icrc=ok\n",
		"ATOMIC ACK qp=0x14 psn=11797258 credits=unlimited msn=3 original=0xffc43c78d80d02eb icrc=ok\n",
		"COMPARE SWAP qp=0x15 psn=14731401 flags=A va=0x556e7e9b1000 rkey=0x6bc compare=0x0 swap=0x0 icrc=ok\n",
		"UD SEND ONLY qp=0x1 psn=2 flags=A qkey=0x80010000 source-qp=0x1 payload=256 icrc=ok\n",
	} {
		require.Contains(t, stdout, want)
	}

	status, quiet, _ := run(t, t.TempDir(), append([]string{"roce", "dump", "--quiet"}, files...)...)
	require.Equal(t, exitOK, status)
	require.Equal(t, len(files), strings.Count(quiet, "\n"), "the counts only")
}

// dump prints a capture in this process.
func dump(capture []byte, options ...func(*roceDump)) (stdout string, err error) {
	var b strings.Builder
	d := &roceDump{ports: []uint16{wire.Port}, out: bufio.NewWriter(&b)}
	for _, o := range options {
		o(d)
	}
	err = d.file("FILE", bytes.NewReader(capture), false)
	d.out.Flush()
	return b.String(), err
}

func quietly(d *roceDump) { d.quiet = true }

var (
	roceClient = netip.MustParseAddrPort("10.0.0.1:50000")
	roceServer = netip.MustParseAddrPort("10.0.0.2:4791")
)

// sealed is an IP packet with a datagram from the client to the server.
func sealed(p wire.Packet) []byte {
	f := wire.NewFlow(roceClient, roceServer)
	if p.PKey == 0 {
		p.PKey = wire.DefaultPKey
	}
	return wire.Frame{Src: roceClient, Dst: roceServer, ID: 7, Datagram: p.AppendTo(nil, &f, 7)}.AppendIP(nil)
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

func TestRoceDumpFields(t *testing.T) {
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
		"opcode 0x81 qp=0x11 psn=5 flags=BECN bytes=16 icrc=ok":                              {Opcode: 0x81, CongestedBack: true},
	} {
		p.DestQP, p.PSN = 17, 5
		stdout, err := dump(pcap(t, layers.LinkTypeRaw, sealed(p)))
		require.NoError(t, err, want)
		require.Equal(t, "03:04:05.678901234 10.0.0.1:50000 > 10.0.0.2:4791 "+want+
			"\nFILE: 1 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n", stdout)
	}
}

// Each link type has its header before the IP packet.
func TestRoceDumpLinks(t *testing.T) {
	t.Parallel()
	ip := sealed(wire.Packet{Opcode: wire.Acknowledge})
	zeros := make([]byte, 32)
	for _, c := range []struct {
		link   layers.LinkType
		header string
	}{
		{layers.LinkTypeEthernet, string(zeros[:12]) + "\x08\x00"},
		{layers.LinkTypeEthernet, string(zeros[:12]) + "\x81\x00\x00\x07\x08\x00"},
		{layers.LinkTypeRaw, ""},
		{layers.LinkTypeIPv4, ""},
		{12, ""},
		{14, ""},
		{layers.LinkTypeNull, "\x02\x00\x00\x00"},
		{layers.LinkTypeLoop, "\x00\x00\x00\x02"},
		{layers.LinkTypeLinuxSLL, string(zeros[:14]) + "\x08\x00"},
		{layers.LinkTypeLinuxSLL2, "\x08\x00" + string(zeros[:18])},
	} {
		whole := append([]byte(c.header), ip...)
		stdout, err := dump(pcap(t, c.link, whole, whole[:len(c.header)/2]))
		require.NoError(t, err)
		require.Contains(t, stdout, "FILE: 2 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 1 other\n", c.link)
	}

	stdout, err := dump(pcap(t, layers.LinkTypeIEEE802_11, ip, ip))
	require.EqualError(t, err, "FILE: 2 packets have the link type 105 (802.11); capture Ethernet, raw IP, loopback or Linux cooked ones instead")
	require.Equal(t, "FILE: 2 packets: 0 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 2 other\n", stdout)
}

func TestRoceDumpIPv6(t *testing.T) {
	t.Parallel()
	src, dst := netip.MustParseAddrPort("[fd00::1]:50000"), netip.MustParseAddrPort("[fd00::2]:4791")
	f := wire.NewFlow(src, dst)
	p := wire.Packet{Opcode: wire.SendOnly, PKey: wire.DefaultPKey, Payload: [2][]byte{make([]byte, 100)}}
	ip := wire.Frame{Src: src, Dst: dst, Datagram: p.AppendTo(nil, &f, 0)}.AppendIP(nil)
	stdout, err := dump(pcap(t, layers.LinkTypeIPv6, ip))
	require.NoError(t, err)
	require.Contains(t, stdout, " [fd00::1]:50000 > [fd00::2]:4791 SEND ONLY qp=0x0 psn=0 payload=100 icrc=ok\n")

	stdout, err = dump(cutOffAt(t, 40+8+12, ip))
	require.NoError(t, err)
	require.Contains(t, stdout, " SEND ONLY qp=0x0 psn=0 payload=100 cut off\n")
	stdout, err = dump(cutOffAt(t, 40+8+11, ip))
	require.NoError(t, err)
	require.Contains(t, stdout, " bytes=116 cut off\n")
}

// pcapng has a link type for each interface, and packets without a time.
func TestRoceDumpPcapng(t *testing.T) {
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

	stdout, err := dump(b.Bytes())

	require.NoError(t, err)
	rest := "10.0.0.1:50000 > 10.0.0.2:4791 ACK qp=0x0 psn=0 credits=0 msn=0 icrc=ok\n"
	require.Equal(t, "03:04:05.678901234 "+rest+"03:04:05.678901234 "+rest+"- "+rest+
		"FILE: 3 packets: 3 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n", stdout)

	_, err = dump(b.Bytes()[:b.Len()-3])
	require.EqualError(t, err, "FILE: ends in the middle of packet 3: it is still being written, or was cut off; copy or capture it again")
	_, err = dump(b.Bytes()[:10])
	require.EqualError(t, err, "FILE: the header of the capture is damaged (unexpected EOF): capture or copy it again")
}

func TestRoceDumpCompressed(t *testing.T) {
	t.Parallel()
	capture := goldenCapture(t, "write-8.pcap")
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(capture)
	require.NoError(t, w.Close())

	want, err := dump(capture)
	require.NoError(t, err)
	stdout, err := dump(b.Bytes())
	require.NoError(t, err)
	require.Equal(t, want, stdout)

	_, err = dump(b.Bytes()[:b.Len()/2])
	require.ErrorContains(t, err, "FILE: ends in the middle of packet ")
	_, err = dump(b.Bytes()[:5])
	require.ErrorContains(t, err, "FILE: is damaged (unexpected EOF): copy it again")
}

func TestRoceDumpWrongPackets(t *testing.T) {
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
		"FILE: 7 packets: 4 RoCEv2, 2 bad ICRC, 2 malformed, 0 cut off, 3 other\n"
	require.Equal(t, flow+"SEND ONLY qp=0x0 psn=1 payload=8 icrc=ok\n"+wrong, stdout)
	require.EqualError(t, err, "FILE: the ICRC of 2 of 4 RoCEv2 packets does not hold: they were changed on their way, or the sender computes another one\n"+
		"FILE: 2 of 4 RoCEv2 packets are malformed; if something else uses their port, say which one is RoCEv2's with --port")

	stdout, err = dump(capture, quietly)
	require.Error(t, err)
	require.Equal(t, wrong, stdout)

	_, cut := dump(capture[:len(capture)-1])
	require.EqualError(t, cut, "FILE: ends in the middle of packet 7: it is still being written, or was cut off; copy or capture it again\n"+err.Error())

	dir := t.TempDir()
	name := write(t, dir, "wrong.pcap", string(capture))
	status, stdout, stderr := run(t, dir, "roce", "dump", "-q", name)
	require.Equal(t, exitFailed, status)
	require.Equal(t, strings.ReplaceAll(wrong, "FILE", name), stdout)
	require.Equal(t, "rfaas roce dump: "+strings.ReplaceAll(err.Error(), "FILE", name)+"\n", stderr)

	status, stdout, _ = run(t, dir, "roce", "dump", "-q", "--port", "4792,4793", name)
	require.Equal(t, exitFailed, status, "the port is covered")
	require.Contains(t, stdout, ": 7 packets: 1 RoCEv2, 1 bad ICRC, 0 malformed, 0 cut off, 6 other\n")
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

func TestRoceDumpCutOff(t *testing.T) {
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
		stdout, err := dump(cutOffAt(t, c.snap, long))
		require.NoError(t, err)
		require.Equal(t, "03:04:05.678901234 10.0.0.1:50000 > 10.0.0.2:4791 "+c.want+
			"FILE: 1 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 1 cut off, 0 other\n", stdout)
	}
	stdout, err := dump(cutOffAt(t, len(ack), ack, long), quietly)
	require.NoError(t, err)
	require.Equal(t, "FILE: 2 packets: 2 RoCEv2, 0 bad ICRC, 0 malformed, 1 cut off, 0 other\n", stdout)
	stdout, err = dump(cutOffAt(t, 19, long))
	require.NoError(t, err)
	require.Equal(t, "FILE: 1 packets: 0 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 1 other\n", stdout, "not even a port")
}

// What segmentation offload joined is several packets, with identifications that
// follow the first one's.
func TestRoceDumpJoined(t *testing.T) {
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
	stdout, err := dump(joined(7))
	require.NoError(t, err)
	var want strings.Builder
	for i, n := range []int{256, 256, 256, 100} {
		fmt.Fprintf(&want, "03:04:05.678901234 10.0.0.1:50000 > 10.0.0.2:4791 WRITE MIDDLE qp=0x0 psn=%d payload=%d icrc=ok\n", i, n)
	}
	require.Equal(t, want.String()+"FILE: 1 packets: 4 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n", stdout)

	_, err = dump(joined(8))
	require.ErrorContains(t, err, "the ICRC of 1 of 1 RoCEv2 packets does not hold")

	datagrams[300] ^= 1
	stdout, err = dump(joined(7))
	require.ErrorContains(t, err, "the ICRC of 1 of 4 RoCEv2 packets does not hold")
	require.Contains(t, stdout, "psn=1 payload=256 icrc=BAD\n")
}

func TestRoceDumpDamagedFiles(t *testing.T) {
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

	// One damaged file does not keep the others from being read.
	dir := t.TempDir()
	write(t, dir, "good.pcap", string(golden))
	write(t, dir, "cut.pcap", string(golden[:second+20]))
	status, stdout, stderr := run(t, dir, "roce", "dump", "-q", "missing.pcap", ".", "cut.pcap", "good.pcap")
	require.Equal(t, exitFailed, status)
	require.Equal(t, "cut.pcap: 1 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n"+
		"good.pcap: 30 packets: 30 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n", stdout)
	require.Equal(t, "rfaas roce dump: open missing.pcap: no such file or directory\n"+
		".: read .: is a directory\n"+
		"cut.pcap: ends in the middle of packet 2"+middle+"\n", stderr)
}

// Packets that come one by one are printed when they come.
func TestRoceDumpLive(t *testing.T) {
	t.Parallel()
	golden := goldenCapture(t, "write-8.pcap")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	s := startWith(t, t.TempDir(), func(c *exec.Cmd) { c.Stdin = r }, "roce", "dump", "-")
	r.Close()
	first := 24 + 16 + int(binary.LittleEndian.Uint32(golden[24+8:]))
	_, err = w.Write(golden[:first])
	require.NoError(t, err)
	require.True(t, eventually(programTimeout, func() bool { return strings.Count(s.stdout.String(), "\n") == 1 }))
	_, err = w.Write(golden[first:])
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Equal(t, exitOK, s.wait())
	require.Empty(t, s.stderr.String())
	require.Equal(t, 31, strings.Count(s.stdout.String(), "\n"))
	require.Contains(t, s.stdout.String(), "\nstandard input: 30 packets: 30 RoCEv2, ")
}

func TestRoceDumpRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"rfaas roce: which command? there are: capture, dump, pingpong\nSee 'rfaas roce":    {},
		"rfaas roce: unknown command \"walk\" for \"rfaas roce\"\nSee 'rfaas roce --help'.": {"walk"},
		"rfaas roce dump: requires at least 1 arg(s), only received 0":                      {"dump"},
		"rfaas roce dump: --port 65536: is no UDP port":                                     {"dump", "--port", "65536", "x"},
		"rfaas roce dump: --port 0: is no UDP port":                                         {"dump", "--port", "4791,0", "x"},
	} {
		status, stdout, stderr := run(t, dir, append([]string{"roce"}, args...)...)
		require.Equal(t, exitUsage, status, stderr)
		require.Empty(t, stdout)
		require.Contains(t, stderr, want)
	}
	for _, args := range [][]string{{"roce", "--help"}, {"roce", "dump", "--help"}} {
		status, stdout, _ := run(t, dir, args...)
		require.Equal(t, exitOK, status)
		text, _, _ := strings.Cut(stdout, "\nFlags:")
		for line := range strings.SplitSeq(text, "\n") {
			require.True(t, len(line) <= 80 || strings.HasPrefix(line, "  "), line)
		}
	}
}

// Whatever is in a file, dump ends with an error or without, and prints as many
// lines as it counts.
func FuzzRoceDump(f *testing.F) {
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
