package rocedump

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

const (
	etherIPv4 = "destinsource\x08\x00"
	etherVLAN = "destinsource\x81\x00\x00\x07\x08\x00"
	marked    = 26<<2 | 3 // DSCP 26, congestion experienced
)

// overIPv4 is an IPv4 packet with a payload of this protocol.
func overIPv4(protocol, class uint8, payload string) []byte {
	ip := []byte("\x45\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x0a\x01\x00\x01\x0a\x01\x00\x02" + payload)
	ip[1], ip[9] = class, protocol
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum>>16+sum))
	return ip
}

// overIPv6 is an IPv6 packet with a payload of this protocol.
func overIPv6(protocol, class uint8, payload string) []byte {
	ip := []byte("\x60\x00\x00\x00\x00\x00\x00\x40" + strings.Repeat("\xfd", 32) + payload)
	ip[0], ip[1], ip[6] = 0x60|class>>4, class<<4, protocol
	binary.BigEndian.PutUint16(ip[4:], uint16(len(payload)))
	return ip
}

// udp is a UDP header for a payload, and the payload.
func udp(port uint16, payload string) string {
	b := binary.BigEndian.AppendUint16([]byte("\xc0\x00"), port)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return string(b) + "\x00\x00" + payload
}

// encapsulationCase is a packet that another is in, and what its line says of
// that, or the name of what was not read.
type encapsulationCase struct {
	within, notRead string
	packet          []byte
}

// encapsulationCases are packets with this one in them.
func encapsulationCases(inner []byte) []encapsulationCase {
	ip := string(inner)
	const (
		vxlan   = "\x08\x00\x00\x00\x00\x12\x34\xff"
		geneve  = "\x02\x00\x65\x58\x00\x12\x34\xff" + "\x01\x02\x03\x01\x00\x00\x00\x00" // an option of eight bytes
		erspan2 = "\x10\x07\x08\x05\x00\x00\x00\x01"
		erspan3 = "\x20\x07\x08\x05\x01\x02\x03\x04\x00\x00"
	)
	within := func(want string, packet []byte) encapsulationCase {
		return encapsulationCase{within: want, packet: packet}
	}
	notRead := func(want string, packet []byte) encapsulationCase {
		return encapsulationCase{notRead: want, packet: packet}
	}
	deep := ip
	for range maxEncapsulations {
		deep = string(overIPv4(4, 0, deep))
	}
	return []encapsulationCase{
		within("in VXLAN vni=4660", overIPv4(17, 0, udp(4789, vxlan+etherIPv4+ip))),
		within("in VXLAN vni=4660", overIPv4(17, 0, udp(4789, vxlan+etherVLAN+ip+"FCS."))),
		within("in VXLAN vni=4660 dscp=26 ecn=CE", overIPv6(17, marked, udp(4789, vxlan+etherIPv4+ip))),
		within("in Geneve vni=4660", overIPv4(17, 0, udp(6081, geneve+etherIPv4+ip))),
		within("in Geneve vni=4660", overIPv4(17, 0, udp(6081, "\x00\x00\x08\x00\x00\x12\x34\x00"+ip))),
		within("in GRE", overIPv4(47, 0, "\x00\x00\x08\x00"+ip)),
		within("in GRE key=0x7", overIPv4(47, 0, "\xb0\x00\x65\x58\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x01"+etherIPv4+ip)),
		within("in GRE key=0x7", overIPv6(47, 0, "\x20\x00\x08\x00\x00\x00\x00\x07"+ip)),
		within("in ERSPAN", overIPv4(47, 0, "\x00\x00\x88\xbe"+etherIPv4+ip)),
		within("in ERSPAN session=5 ecn=ECT(0)", overIPv4(47, 2, "\x10\x00\x88\xbe\x00\x00\x00\x01"+erspan2+etherIPv4+ip)),
		within("in ERSPAN session=5", overIPv4(47, 0, "\x10\x00\x22\xeb\x00\x00\x00\x01"+erspan3+"\x80\x00"+etherVLAN+ip)),
		within("in ERSPAN session=5", overIPv4(47, 0, "\x10\x00\x22\xeb\x00\x00\x00\x01"+erspan3+"\x80\x01platform"+etherIPv4+ip)),
		within("in GRE in MPLS label=16,17", overIPv4(47, 0, "\x00\x00\x88\x47\x00\x01\x00\x40\x00\x01\x11\x40"+ip)),
		within("in IP", overIPv4(4, 0, ip)),
		within("in IP ecn=ECT(1)", overIPv6(4, 1, ip)),
		within("in IP in MPLS label=16", overIPv4(137, 0, "\x00\x01\x01\x40\x00\x00\x00\x00"+etherIPv4+ip)),
		within("in IP in VXLAN vni=4660", overIPv4(4, 0, string(overIPv4(17, 0, udp(4789, vxlan+etherIPv4+ip))))),
		within(strings.TrimPrefix(strings.Repeat(" in IP", maxEncapsulations), " "), []byte(deep)),

		notRead("too many encapsulations", overIPv4(4, 0, deep)),
		notRead("VXLAN without VNI", overIPv4(17, 0, udp(4789, "\x00"+vxlan[1:]+etherIPv4+ip))),
		notRead("VXLAN-GPE", overIPv4(17, 0, udp(4790, vxlan+etherIPv4+ip))),
		notRead("Geneve version 1", overIPv4(17, 0, udp(6081, "\x40"+geneve[1:]+etherIPv4+ip))),
		notRead("GRE of another version, or with routing", overIPv4(47, 0, "\x00\x01\x08\x00"+ip)),
		notRead("GRE of another version, or with routing", overIPv4(47, 0, "\x40\x00\x08\x00"+ip)),
		notRead("ERSPAN of an unknown version", overIPv4(47, 0, "\x10\x00\x88\xbe\x00\x00\x00\x01\x00"+erspan2[1:]+etherIPv4+ip)),
		notRead("ERSPAN of an unknown version", overIPv4(47, 0, "\x10\x00\x22\xeb\x00\x00\x00\x01\x10"+erspan3[1:]+"\x80\x00"+etherIPv4+ip)),
		notRead("ERSPAN of another frame than Ethernet's", overIPv4(47, 0, "\x10\x00\x22\xeb\x00\x00\x00\x01"+erspan3+"\x08\x00"+ip)),
		notRead("MPLS of what is neither IP nor Ethernet with a control word", overIPv4(137, 0, "\x00\x01\x01\x40\xde"+etherIPv4+ip)),
		notRead("too many encapsulations", overIPv4(137, 0, strings.Repeat("\x00\x01\x00\x40", 17)+ip)),
		notRead("RoCE v1", overIPv4(47, 0, "\x00\x00\x89\x15"+ip)),
		notRead("PPPoE", overIPv4(47, 0, "\x00\x00\x88\x64"+ip)),
		notRead("MACsec", overIPv4(47, 0, "\x00\x00\x88\xe5"+ip)),
		notRead("IPsec ESP", overIPv4(50, 0, ip)),
		notRead("IPsec AH", overIPv6(51, 0, ip)),
		notRead("IPv6 extension headers", overIPv6(0, 0, ip)),
		notRead("IPv4 options", slices.Concat([]byte("\x46"), overIPv4(17, 0, "optn"+udp(4791, ip))[1:])),
		notRead("IP fragments", slices.Replace(overIPv4(17, 0, udp(4791, ip)), 6, 7, 0x20)),
		notRead("IP fragments", slices.Replace(overIPv4(47, 0, "\x00\x00\x08\x00"+ip), 7, 8, 1)),
		notRead("IP packets cut off", overIPv4(17, 0, udp(4791, ip))[:60]),
		notRead("IP or UDP lengths that do not fit", slices.Replace(overIPv4(47, 0, "\x00\x00\x08\x00"+ip), 0, 1, 0x44)),
		notRead("IP or UDP lengths that do not fit", slices.Replace(overIPv4(17, 0, udp(4791, ip)), 25, 26, 1)),
		notRead("headers cut off", overIPv4(17, 0, udp(4789, vxlan+etherIPv4[:13]))),
	}
}

// Packets within others are read, and their lines say what they are in; what is
// not read is counted by name.
func TestDumpEncapsulations(t *testing.T) {
	t.Parallel()
	for _, c := range encapsulationCases(handMade(0x64, 0x11, generalDETH, "hello")) {
		stdout := dumped(t, pcap(t, layers.LinkTypeRaw, c.packet))
		if c.notRead != "" {
			require.Equal(t, "FILE: 1 packets: 0 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 1 other (1 not read: "+c.notRead+" 1)\n", stdout)
			continue
		}
		require.Equal(t, "03:04:05.678901234 10.0.0.1:50000 > 10.0.0.2:4791 UD SEND ONLY qp=0x11 psn=5 qkey=0x80010000 source-qp=0x1 payload=5 icrc=ok "+c.within+
			"\nFILE: 1 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n", stdout)
	}
}

// Wherever a capture cuts packets off, it is said, and what is not there is not
// taken for zeros.
func TestDumpEncapsulationsCutOff(t *testing.T) {
	t.Parallel()
	inner := handMade(0x64, 0x11, generalDETH, "hello")
	const headers = 20 + 8
	for _, c := range encapsulationCases(inner) {
		if c.within == "" {
			continue
		}
		trailer := len(c.packet) - (strings.Index(string(c.packet), string(inner)) + len(inner))
		for snap := 1; snap < len(c.packet)-trailer; snap++ {
			stdout := dumped(t, cutOffAt(t, snap, c.packet))
			if snap < len(c.packet)-trailer-len(inner)+headers {
				require.Equal(t, "FILE: 1 packets: 0 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 1 other (1 not read: headers cut off 1)\n", stdout, "%s at %d", c.within, snap)
			} else {
				require.Contains(t, stdout, " cut off "+c.within+"\nFILE: 1 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 1 cut off, 0 other\n", "%s at %d", c.within, snap)
			}
		}
	}
}

// The counts of what was not read add up, in the order of their names; what has
// nothing to do with RoCE is not among them.
func TestDumpNotRead(t *testing.T) {
	t.Parallel()
	ip := string(sealed(wire.Packet{Opcode: wire.Acknowledge}))
	esp := overIPv4(50, 0, ip)
	tcp, dns := overIPv4(6, 0, ip), overIPv4(17, 0, udp(53, ip))
	stdout := dumped(t, pcap(t, layers.LinkTypeRaw, esp, overIPv4(17, 0, udp(4790, ip)), tcp, []byte(ip), esp, dns))
	require.Contains(t, stdout, "FILE: 6 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 5 other (3 not read: IPsec ESP 2, VXLAN-GPE 1)\n")
}

// DSCP and ECN are said when they are not zero.
func TestDumpTrafficClass(t *testing.T) {
	t.Parallel()
	v4, v6 := sealed(wire.Packet{Opcode: wire.SendOnly}), sealedV6(nil)
	for class, want := range map[uint8]string{
		0: "", 1: " ecn=ECT(1)", 2: " ecn=ECT(0)", 3: " ecn=CE", 26 << 2: " dscp=26", 26<<2 | 2: " dscp=26 ecn=ECT(0)", 255: " dscp=63 ecn=CE",
	} {
		v4[1] = class
		v6[0], v6[1] = 0x60|class>>4, class<<4
		stdout := dumped(t, pcap(t, layers.LinkTypeRaw, v4, v6))
		require.Equal(t, 2, strings.Count(stdout, " SEND ONLY qp=0x0 psn=0 payload=0 icrc=ok"+want+"\n"), stdout)
	}
}
