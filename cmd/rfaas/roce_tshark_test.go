package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// bitwiseICRC is the ICRC that an IP packet should end with, by the rule of annex
// A17 of the InfiniBand specification and nothing else.
func bitwiseICRC(ip []byte) uint32 {
	b := append(bytes.Repeat([]byte{0xff}, 8), ip[:len(ip)-4]...) // for the local route header
	variant, udp := []int{1, 8, 10, 11}, 20                       // type of service, time to live, checksum
	if b[8]>>4 == 6 {
		b[8] |= 0x0f                         // traffic class, as the next four bits;
		variant, udp = []int{1, 2, 3, 7}, 40 // flow label, hop limit
	}
	for _, at := range append(variant, udp+6, udp+7, udp+8+4) { // checksum; BTH's reserved byte
		b[8+at] = 0xff
	}
	crc := ^uint32(0)
	for i := range 8 * len(b) {
		odd := crc&1 != uint32(b[i/8]>>(i%8)&1)
		crc >>= 1
		if odd {
			crc ^= 0xedb88320
		}
	}
	return ^crc
}

// hold posts a request for which the peer has no receive, and waits until it has
// been turned away.
func hold(t *testing.T, x *pairtest.End, wr transport.WorkRequest) {
	t.Helper()
	x.Post(wr)
	require.True(t, eventually(pairtest.Patience, func() bool {
		return x.Dev.Adapter().(*softroce.Adapter).Counters()["rnr_naks_received"] > 0
	}))
}

// converse has x carry out every operation, with messages of one packet and of
// several, be turned away for want of a receive, and at last be refused.
func converse(t *testing.T, x, y *pairtest.End) {
	const size = 5_001
	local, remote := x.Alloc(size, transport.LocalOnly), y.Alloc(size, transport.RemoteAll)
	for i := range local.Bytes() {
		local.Bytes()[i] = byte(i*i + i>>8)
	}
	hold(t, x, transport.Send(0, local.Span(0, 3)).With(transport.Signaled|transport.Solicited))
	y.Recv(transport.Recv(0, remote.Span(0, size)), transport.Recv(1, remote.Span(0, size)), transport.Recv(2, transport.Span{}), transport.Recv(3, transport.Span{}))
	x.Post(
		transport.Send(1, local.Span(0, size)).With(transport.Signaled),
		transport.WriteImm(2, local.Span(0, 9), remote.Remote(0, size), 0x12345678).With(transport.Signaled|transport.Inline|transport.Solicited),
		transport.WriteImm(3, local.Span(0, size), remote.Remote(0, size), 0xffffffff).With(transport.Signaled),
		transport.Write(4, local.Span(1, size-1), remote.Remote(1, size-1)).With(transport.Signaled),
		transport.Write(5, local.Span(0, 0), remote.Remote(0, 0)).With(transport.Signaled),
	)
	completions := append(x.Take(6), y.Take(4)...)
	x.Post(
		transport.Read(6, local.Span(0, size), remote.Remote(0, size)).With(transport.Signaled),
		transport.Read(7, local.Span(0, 6), remote.Remote(0, size)).With(transport.Signaled),
		transport.FetchAdd(8, local.Span(0, 8), remote.Remote(0, 8), 1<<63+5).With(transport.Signaled),
		transport.CompareSwap(9, local.Span(8, 8), remote.Remote(8, 8), 1, 2).With(transport.Signaled|transport.Fence),
	)
	for i, c := range append(completions, x.Take(4)...) {
		require.Equal(t, transport.StatusOK, c.Status, "completion %d", i)
	}
	stranger := remote.Remote(0, size)
	stranger.Key++
	x.Post(transport.Write(10, local.Span(0, size), stranger).With(transport.Signaled))
	require.Equal(t, transport.StatusRemoteAccess, x.Take(1)[0].Status)
	require.Error(t, x.Ended())
}

// tshark dissects a capture, in which it must find nothing wrong, and returns a
// row for each packet, of the fields. It looks for RoCEv2 at the ports, too.
func tshark(t *testing.T, capture []byte, ports []uint16, fields ...string) (rows [][]string) {
	t.Helper()
	_, err := exec.LookPath("tshark")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("tshark is not installed: an independent dissector of packets, in Debian's package tshark")
	}
	require.NoError(t, err, "continuous integration must have it")
	file := filepath.Join(t.TempDir(), "x.pcap")
	require.NoError(t, os.WriteFile(file, capture, 0o666))
	args := []string{"-r", file, "-T", "fields", "-E", "separator=|", "-E", "occurrence=f", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"}
	for _, port := range ports {
		args = append(args, "-d", fmt.Sprintf("udp.port==%d,infiniband", port))
	}
	// It would guess what the payload of a message is, and complain of it.
	for line := range strings.Lines(runTshark(t, "-G", "heuristic-decodes")) {
		if columns := strings.Split(line, "\t"); columns[0] == "infiniband.payload" {
			args = append(args, "--disable-protocol", columns[1])
		}
	}
	const chat = 0x200000 // less than a note: that a port is in the range of traceroute's
	complaints := append(slices.Clone(args), "-Y", fmt.Sprintf("_ws.expert.severity > %d", chat), "-e", "frame.number", "-e", "_ws.expert")
	require.Empty(t, runTshark(t, complaints...))
	for _, field := range fields {
		args = append(args, "-e", field)
	}
	for line := range strings.Lines(runTshark(t, args...)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "|"))
		require.Len(t, rows[len(rows)-1], len(fields))
	}
	return rows
}

func runTshark(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	cmd := exec.Command("tshark", args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=") // without preferences
	var stderr strings.Builder
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return string(b)
}

// numbers are fields of tshark that are numbers, and what they should be, if the
// packet has them.
var numbers = []struct {
	field string
	of    func(p *wire.Packet) (n uint64, has bool)
}{
	{"infiniband.bth.opcode", func(p *wire.Packet) (uint64, bool) { return uint64(p.Opcode), true }},
	{"infiniband.bth.se", func(p *wire.Packet) (uint64, bool) { return bit(p.Solicited), true }},
	{"infiniband.bth.m", func(p *wire.Packet) (uint64, bool) { return bit(p.Migrated), true }},
	{"infiniband.bth.a", func(p *wire.Packet) (uint64, bool) { return bit(p.AckRequest), true }},
	{"infiniband.bth.padcnt", func(p *wire.Packet) (uint64, bool) { return uint64(p.Pad()), true }},
	{"infiniband.bth.tver", func(*wire.Packet) (uint64, bool) { return 0, true }},
	{"infiniband.bth.p_key", func(p *wire.Packet) (uint64, bool) { return uint64(p.PKey), true }},
	{"infiniband.bth.destqp", func(p *wire.Packet) (uint64, bool) { return uint64(p.DestQP), true }},
	{"infiniband.bth.psn", func(p *wire.Packet) (uint64, bool) { return uint64(p.PSN), true }},
	{"infiniband.reth.va", func(p *wire.Packet) (uint64, bool) { return p.VA, p.Opcode.HasRETH() || p.Opcode.HasAtomicETH() }},
	{"infiniband.reth.r_key", func(p *wire.Packet) (uint64, bool) {
		return uint64(p.RKey), p.Opcode.HasRETH() || p.Opcode.HasAtomicETH()
	}},
	{"infiniband.reth.dmalen", func(p *wire.Packet) (uint64, bool) { return uint64(p.Length), p.Opcode.HasRETH() }},
	{"infiniband.atomiceth.swapdt", func(p *wire.Packet) (uint64, bool) { return p.SwapAdd, p.Opcode.HasAtomicETH() }},
	{"infiniband.atomiceth.cmpdt", func(p *wire.Packet) (uint64, bool) { return p.Compare, p.Opcode.HasAtomicETH() }},
	{"infiniband.atomicacketh.origremdt", func(p *wire.Packet) (uint64, bool) { return p.Original, p.Opcode.HasAtomicAckETH() }},
	{"infiniband.aeth.syndrome", func(p *wire.Packet) (uint64, bool) { return uint64(p.Syndrome), p.Opcode.HasAETH() }},
	{"infiniband.aeth.msn", func(p *wire.Packet) (uint64, bool) { return uint64(p.MSN), p.Opcode.HasAETH() }},
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// texts are fields of tshark that are bytes or text, and what they should be.
var texts = []struct {
	field string
	of    func(p *recorded) string
}{
	{"_ws.malformed", func(*recorded) string { return "" }},
	{"frame.protocols", func(p *recorded) string {
		s := "raw:ip:udp:infiniband"
		if p.frame.Src.Addr().Is6() {
			s = "raw:ipv6:udp:infiniband"
		}
		if p.packet.PayloadBytes() > 0 {
			s += ":data"
		}
		return s
	}},
	{"udp.checksum.status", func(*recorded) string { return "1" }}, // good
	{"ip.checksum.status", func(p *recorded) string {
		if p.frame.Src.Addr().Is6() {
			return "" // has none
		}
		return "1"
	}},
	{"infiniband.immdt", func(p *recorded) string {
		if !p.packet.Opcode.HasImm() {
			return ""
		}
		return fmt.Sprintf("%08x", p.packet.Imm)
	}},
	{"data.data", func(p *recorded) string {
		return fmt.Sprintf("%x%s", p.packet.Payload[0], strings.Repeat("00", p.packet.Pad()))
	}},
	{"infiniband.invariant.crc", func(p *recorded) string {
		return fmt.Sprintf("0x%x", p.frame.Datagram[len(p.frame.Datagram)-wire.ICRCBytes:])
	}},
}

// What softroce says is dissected by others as it is meant, with nothing wrong,
// and its ICRCs are those of the specification.
func TestTsharkAgrees(t *testing.T) {
	t.Parallel()
	for _, ends := range [][2]string{
		{fmt.Sprintf("softroce://%v?mtu=1024", loopbackAddress()), fmt.Sprintf("softroce://%v?mtu=1024", loopbackAddress())},
		{"softroce://[::1]:0?mtu=256&psn=16777210&segmentation=off", "softroce://[::1]:0?mtu=256&psn=16777210"},
	} {
		t.Run(ends[0], func(t *testing.T) {
			t.Parallel()
			x, y := pairtest.NewEnd(t, ends[0]), pairtest.NewEnd(t, ends[1])
			x.Conn, y.Conn = pairtest.Connect(t, x, y, x.Config(), y.Config())
			var b bytes.Buffer
			r := record(&b, noLimit, maxSnapBytes, never, enoughRoom)
			r.observe(x.Dev.Adapter().(*softroce.Adapter))
			converse(t, x, y)
			_, counts, ports, err := r.end()
			require.NoError(t, err)
			require.Zero(t, counts.dropped)
			packets := readRecording(t, b.Bytes())
			requireEveryOperation(t, packets)
			requireTsharkAgrees(t, packets, b.Bytes(), ports)
		})
	}
}

// requireEveryOperation checks that what converse is for is there.
func requireEveryOperation(t *testing.T, packets []recorded) {
	opcodes, syndromes := map[wire.Opcode]bool{}, map[uint8]bool{}
	for _, p := range packets {
		opcodes[p.packet.Opcode] = true
		if p.packet.Opcode == wire.Acknowledge {
			syndromes[p.packet.Syndrome] = true
			syndromes[p.packet.Syndrome&wire.SyndromeKind] = true
		}
	}
	for o := wire.SendFirst; o <= wire.FetchAdd; o++ {
		// There is no SEND with immediate data in package transport.
		require.Equal(t, o != wire.SendLastImm && o != wire.SendOnlyImm, opcodes[o], "%v", o)
	}
	for _, s := range []uint8{wire.SyndromeACK, wire.SyndromeRNR, wire.NAKRemoteAccess} {
		require.True(t, syndromes[s], "AETH syndrome %#x", s)
	}
}

func requireTsharkAgrees(t *testing.T, packets []recorded, capture []byte, ports []uint16) {
	var fields []string
	for _, c := range texts {
		fields = append(fields, c.field)
	}
	for _, c := range numbers {
		fields = append(fields, c.field)
	}
	rows := tshark(t, capture, ports, fields...)
	require.Len(t, rows, len(packets))
	for i, row := range rows {
		p := &packets[i]
		what := fmt.Sprintf("packet %d: %v psn=%d: ", i+1, p.packet.Opcode, p.packet.PSN)
		for _, c := range texts {
			require.Equal(t, c.of(p), row[0], what+c.field)
			row = row[1:]
		}
		for _, c := range numbers {
			want, has := c.of(&p.packet)
			cell := strings.NewReplacer("True", "1", "False", "0").Replace(row[0]) // newer ones
			got, err := strconv.ParseUint(cell, 0, 64)
			require.Equal(t, has, err == nil, "%s%s: %q", what, c.field, row[0])
			require.Equal(t, want, got, what+c.field)
			row = row[1:]
		}
		require.Equal(t, bitwiseICRC(p.ip), binary.LittleEndian.Uint32(p.ip[len(p.ip)-wire.ICRCBytes:]), what)
	}
}
