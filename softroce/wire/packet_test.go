package wire

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// layouts has the headers of every opcode, byte by byte, as the specification
// draws them. They are those of fullPacket.
var layouts = map[Opcode]string{
	SendFirst:          bth("00") + "",
	SendMiddle:         bth("01") + "",
	SendLast:           bth("02") + "",
	SendLastImm:        bth("03") + immHex,
	SendOnly:           bth("04") + "",
	SendOnlyImm:        bth("05") + immHex,
	WriteFirst:         bth("06") + rethHex,
	WriteMiddle:        bth("07") + "",
	WriteLast:          bth("08") + "",
	WriteLastImm:       bth("09") + immHex,
	WriteOnly:          bth("0a") + rethHex,
	WriteOnlyImm:       bth("0b") + rethHex + immHex,
	ReadRequest:        bth("0c") + rethHex,
	ReadResponseFirst:  bth("0d") + aethHex,
	ReadResponseMiddle: bth("0e") + "",
	ReadResponseLast:   bth("0f") + aethHex,
	ReadResponseOnly:   bth("10") + aethHex,
	Acknowledge:        bth("11") + aethHex,
	AtomicAcknowledge:  bth("12") + aethHex + "d0d1d2d3d4d5d6d7",
	CompareSwap:        bth("13") + atomicHex,
	FetchAdd:           bth("14") + atomicHex,
	UDSendOnly:         bth("64") + dethHex,
	UDSendOnlyImm:      bth("65") + dethHex + immHex,
}

const (
	rethHex   = "a0a1a2a3a4a5a6a7" + "a8a9aaab" + "acadaeaf"
	atomicHex = "a0a1a2a3a4a5a6a7" + "a8a9aaab" + "b0b1b2b3b4b5b6b7" + "c0c1c2c3c4c5c6c7"
	aethHex   = "63" + "e0e1e2"
	dethHex   = "f0f1f2f3" + "00" + "f5f6f7"
	immHex    = "11121314"
)

// bth has SE and M set, FECN and A; the pad count is that of a message of 5 bytes
// for the opcodes that have a payload.
func bth(opcode string) string {
	flags := "f0"
	switch opcode {
	case "0c", "11", "12", "13", "14":
		flags = "c0"
	}
	return opcode + flags + "8001" + "80" + "212223" + "80" + "313233"
}

// fullPacket has a value in every field that the opcode has.
func fullPacket(o Opcode) Packet {
	p := Packet{
		Opcode: o, Solicited: true, Migrated: true, AckRequest: true, Congested: true,
		PKey: 0x8001, DestQP: 0x212223, PSN: 0x313233,
	}
	if o.HasRETH() || o.HasAtomicETH() {
		p.VA, p.RKey = 0xa0a1a2a3a4a5a6a7, 0xa8a9aaab
	}
	if o.HasRETH() {
		p.Length = 0xacadaeaf
	}
	if o.HasAtomicETH() {
		p.SwapAdd, p.Compare = 0xb0b1b2b3b4b5b6b7, 0xc0c1c2c3c4c5c6c7
	}
	if o.HasAETH() {
		p.Syndrome, p.MSN = NAKRemoteOperational, 0xe0e1e2
	}
	if o.HasAtomicAckETH() {
		p.Original = 0xd0d1d2d3d4d5d6d7
	}
	if o.HasDETH() {
		p.QKey, p.SourceQP = 0xf0f1f2f3, 0xf5f6f7
	}
	if o.HasImm() {
		p.Imm = 0x11121314
	}
	if o.HasPayload() {
		p.Payload[0] = []byte("hello")
	}
	return p
}

func TestLayouts(t *testing.T) {
	t.Parallel()
	for i := range 256 {
		o := Opcode(i)
		require.Equal(t, layouts[o] != "", o.Valid(), "%v", o)
	}
	f := NewFlow(testSrc, testDst)
	for o, text := range layouts {
		t.Run(o.String(), func(t *testing.T) {
			t.Parallel()
			want, err := hex.DecodeString(text)
			require.NoError(t, err)
			p := fullPacket(o)
			require.Equal(t, len(want), p.HeaderBytes())

			header := make([]byte, MaxHeaderBytes+1)
			for i := range header {
				header[i] = 0x5a
			}
			n := p.encodeHeader(header)
			require.Equal(t, text, hex.EncodeToString(header[:n]))
			require.Equal(t, strings.Repeat("5a", len(header)-n), hex.EncodeToString(header[n:]), "more was written")

			datagram := p.AppendTo(nil, &f, 7)
			require.Len(t, datagram, p.DatagramBytes())
			decoded := fullPacket(FetchAdd) // what was there is overwritten
			require.NoError(t, decoded.Decode(datagram))
			require.Empty(t, cmp.Diff(p, decoded))
			require.LessOrEqual(t, n, MaxHeaderBytes)
			for short := range n + ICRCBytes { // is refused, wherever it ends
				require.Equal(t, ErrTruncated, new(Packet).Decode(datagram[:short:short]), "%d bytes", short)
			}
		})
	}
}

// Each flag is a bit of its own.
func TestFlags(t *testing.T) {
	t.Parallel()
	base := Packet{Opcode: SendMiddle, Payload: [2][]byte{make([]byte, 4)}}
	header := func(p Packet) [bthBytes]byte {
		var b [bthBytes]byte
		p.encodeHeader(b[:])
		return b
	}
	plain := header(base)
	for _, c := range []struct {
		name string
		set  func(p *Packet)
		at   int
		bit  byte
	}{
		{"SE", func(p *Packet) { p.Solicited = true }, 1, 0x80},
		{"M", func(p *Packet) { p.Migrated = true }, 1, 0x40},
		{"FECN", func(p *Packet) { p.Congested = true }, 4, 0x80},
		{"BECN", func(p *Packet) { p.CongestedBack = true }, 4, 0x40},
		{"A", func(p *Packet) { p.AckRequest = true }, 8, 0x80},
	} {
		p := base
		c.set(&p)
		want := plain
		want[c.at] |= c.bit
		require.Equal(t, want, header(p), c.name)

		f := NewFlow(testSrc, testDst)
		var decoded Packet
		require.NoError(t, decoded.Decode(p.AppendTo(nil, &f, 0)))
		require.Empty(t, cmp.Diff(p, decoded), c.name)
	}
}

// Bits above the 24 of a number do not spill into its neighbours.
func TestNumbersOf24Bits(t *testing.T) {
	t.Parallel()
	var got, want [MaxHeaderBytes]byte
	for _, o := range []Opcode{SendOnly, Acknowledge, UDSendOnly} {
		p := Packet{Opcode: o, DestQP: 0xff000001, PSN: 0xff000002, MSN: 0xff000003, SourceQP: 0xff000004}
		p.encodeHeader(got[:])
		p = Packet{Opcode: o, DestQP: 1, PSN: 2, MSN: 3, SourceQP: 4}
		p.encodeHeader(want[:])
		require.Equal(t, want, got)
	}
}

func TestPayloadSizes(t *testing.T) {
	t.Parallel()
	f := NewFlow(testSrc, testDst)
	content := make([]byte, 70)
	for i := range content {
		content[i] = byte(i + 1)
	}
	for n := range content {
		whole := Packet{Opcode: SendOnly, Payload: [2][]byte{content[:n]}}
		want := whole.AppendTo(nil, &f, 3)
		require.Equal(t, 12+n+whole.Pad()+4, len(want))
		require.Zero(t, len(want)%4)
		for cut := range n + 1 {
			p := Packet{Opcode: SendOnly, Payload: [2][]byte{content[:cut], content[cut:n]}}
			require.Equal(t, n, p.PayloadBytes())
			require.Equal(t, want, p.AppendTo(nil, &f, 3), "%d and %d bytes", cut, n-cut)
			used := bytes.Repeat([]byte{0xa5}, len(want)+1)
			require.Equal(t, len(want), p.Encode(used, &f, 3))
			require.Equal(t, append(want[:len(want):len(want)], 0xa5), used, "where something else was before, %d and %d bytes", cut, n-cut)
		}
		var p Packet
		require.NoError(t, p.Decode(want))
		require.Equal(t, string(content[:n]), string(p.Payload[0]))
		require.Nil(t, p.Payload[1])
		require.Equal(t, len(p.Payload[0]), cap(p.Payload[0]), "the payload must not lead to the ICRC")
		if n > 0 {
			want[bthBytes] ^= 0xff
			require.Equal(t, content[0]^0xff, p.Payload[0][0], "the payload is a part of the datagram")
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	f := NewFlow(testSrc, testDst)
	sealed := func(o Opcode, payload string) []byte {
		p := Packet{Opcode: o, PKey: DefaultPKey, DestQP: 1, PSN: 2}
		if payload != "" {
			p.Payload[0] = []byte(payload)
		}
		return p.AppendTo(nil, &f, 0)
	}
	changed := func(b []byte, at int, to byte) []byte {
		b[at] = to
		return b
	}
	for _, c := range []struct {
		name     string
		datagram []byte
		want     error
	}{
		{"nothing", nil, ErrTruncated},
		{"one byte less than the least", make([]byte, 15), ErrTruncated},
		{"version 1", changed(sealed(SendOnly, ""), 1, 0x01), ErrVersion},
		{"version 8", changed(sealed(SendOnly, ""), 1, 0x08), ErrVersion},
		{"send with invalidate", changed(sealed(SendOnly, ""), 0, 0x17), ErrOpcode},
		{"unreliable connection", changed(sealed(SendOnly, ""), 0, 0x24), ErrOpcode},
		{"opcode 255", changed(sealed(SendOnly, ""), 0, 0xff), ErrOpcode},
		{"no room for RETH", changed(sealed(SendOnly, "twelve bytes"), 0, byte(WriteOnly)), ErrTruncated},
		{"no room for immediate data", changed(sealed(SendOnly, ""), 0, byte(SendOnlyImm)), ErrTruncated},
		{"three bytes of a word", sealed(SendOnly, "four")[:19], ErrLength},
		{"two bytes of a word", sealed(SendOnly, "four")[:18], ErrLength},
		{"one byte of a word", sealed(SendOnly, "four")[:17], ErrLength},
		{"pad without payload", changed(sealed(SendOnly, ""), 1, 0x10), ErrPad},
		{"pad in an acknowledgement", changed(sealed(Acknowledge, ""), 1, 0x30), ErrPad},
		{"payload in an acknowledgement", sealed(Acknowledge, "four"), ErrPayload},
		{"payload in a READ request", sealed(ReadRequest, "four"), ErrPayload},
		{"pad as payload in an atomic", sealed(FetchAdd, "x"), ErrPayload},
		{"least", sealed(SendOnly, ""), nil},
		{"payload that is almost all pad", changed(sealed(SendOnly, "four"), 1, 0x30), nil},
	} {
		var p Packet
		require.Equal(t, c.want, p.Decode(c.datagram), c.name)
	}
}

// Reserved bits and the content of the pad do not matter.
func TestDecodeReserved(t *testing.T) {
	t.Parallel()
	f := NewFlow(testSrc, testDst)
	p := fullPacket(UDSendOnly)
	datagram := p.AppendTo(nil, &f, 0)
	datagram[4] |= 0x3f
	datagram[8] |= 0x7f
	datagram[16] = 0xff                                         // of the DETH
	datagram[len(datagram)-5], datagram[len(datagram)-6] = 1, 2 // pad
	var decoded Packet
	require.NoError(t, decoded.Decode(datagram))
	require.Empty(t, cmp.Diff(p, decoded))
}

// Whoever gets a request of an unknown kind can tell whom to refuse it.
func TestDecodeUnknownOpcode(t *testing.T) {
	t.Parallel()
	f := NewFlow(testSrc, testDst)
	p := Packet{Opcode: SendOnly, AckRequest: true, PKey: DefaultPKey, DestQP: 17, PSN: 4711}
	datagram := p.AppendTo(nil, &f, 0)
	datagram[0] = 0x17
	p.Opcode = 0x17
	var decoded Packet
	require.Equal(t, ErrOpcode, decoded.Decode(datagram))
	require.Empty(t, cmp.Diff(p, decoded))
}
