package rocedump

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// Each link type has its header before the IP packet.
func TestDumpLinks(t *testing.T) {
	t.Parallel()
	ip := sealed(wire.Packet{Opcode: wire.Acknowledge})
	zeros := string(make([]byte, 32))
	for _, c := range []struct {
		link   layers.LinkType
		header string
	}{
		{layers.LinkTypeEthernet, zeros[:12] + "\x08\x00"},
		{layers.LinkTypeEthernet, zeros[:12] + "\x81\x00\x00\x07\x08\x00"},
		{layers.LinkTypeEthernet, zeros[:12] + "\x88\xa8\x00\x07\x81\x00\x00\x07\x08\x00"},
		{layers.LinkTypeEthernet, zeros[:12] + "\x91\x00\x00\x07\x81\x00\x00\x07\x08\x00"},
		{layers.LinkTypeRaw, ""},
		{layers.LinkTypeIPv4, ""},
		{12, ""},
		{14, ""},
		{layers.LinkTypeNull, "\x02\x00\x00\x00"},
		{layers.LinkTypeLoop, "\x00\x00\x00\x02"},
		{layers.LinkTypeLinuxSLL, zeros[:14] + "\x08\x00"},
		{layers.LinkTypeLinuxSLL, zeros[:14] + "\x81\x00\x00\x07\x08\x00"},
		{layers.LinkTypeLinuxSLL2, "\x08\x00" + zeros[:18]},
		{layers.LinkTypeLinuxSLL2, "\x81\x00" + zeros[:18] + "\x00\x07\x08\x00"},
	} {
		whole := append([]byte(c.header), ip...)
		stdout := dumped(t, pcap(t, c.link, whole, whole[:len(c.header)/2]))
		require.Contains(t, stdout, "icrc=ok\nFILE: 2 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 1 other (1 not read: headers cut off 1)\n", linkName(c.link))
		require.NotContains(t, linkName(c.link), "unnamed")
	}
	for _, header := range []string{"\x08\x06", "\x00\x40", "\x81\x00\x00\x07\x08\x06"} {
		stdout := dumped(t, pcap(t, layers.LinkTypeEthernet, append([]byte(zeros[:12]+header), ip...)))
		require.Equal(t, "FILE: 1 packets: 0 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 1 other\n", stdout)
	}
}

// All link types that are not read are named, not only the last.
func TestDumpUnreadLinks(t *testing.T) {
	t.Parallel()
	ip := sealed(wire.Packet{Opcode: wire.Acknowledge})
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeIEEE802_11)
	require.NoError(t, err)
	require.NoError(t, w.WritePacket(captureInfo(ip), ip))
	for _, link := range []layers.LinkType{247, 999, 247} {
		info := captureInfo(ip)
		info.InterfaceIndex, err = w.AddInterface(pcapgo.NgInterface{LinkType: link})
		require.NoError(t, err)
		require.NoError(t, w.WritePacket(info, ip))
	}
	require.NoError(t, w.Flush())

	stdout, err := dump(b.Bytes())

	require.EqualError(t, err, "FILE: 1 packets have the link type 802.11 (105), 2 packets have the link type InfiniBand (247), 1 packets have the link type unnamed (999); "+
		"dump reads none of that, but: Ethernet (1), raw IP (101), raw IPv4 (228), raw IPv6 (229), BSD loopback (0), OpenBSD loopback (108), Linux cooked (113), Linux cooked v2 (276)")
	require.Equal(t, "FILE: 4 packets: 0 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 4 other "+
		"(4 not read: link type 802.11 (105) 1, link type InfiniBand (247) 2, link type unnamed (999) 1)\n", stdout)
}
