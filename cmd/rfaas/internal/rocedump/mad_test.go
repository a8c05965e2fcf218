package rocedump

import (
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/stretchr/testify/require"
)

const generalDETH = "\x80\x01\x00\x00\x00\x00\x00\x01"

// mad is a management datagram with these first bytes.
func mad(header string) string { return header + strings.Repeat("\x00", madBytes-len(header)) }

func TestDumpManagementDatagrams(t *testing.T) {
	t.Parallel()
	const prefix = "UD SEND ONLY qp=0x1 psn=5 qkey=0x80010000 source-qp=0x1 payload=256"
	for want, header := range map[string]string{
		" CM ConnectRequest attribute=0x10 transaction=0x102030405060708":             "\x01\x07\x02\x03\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\x00\x10",
		" CM MsgRcptAck attribute=0x11 transaction=0x2":                               "\x01\x07\x02\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x11",
		" CM ConnectReject attribute=0x12 transaction=0x2":                            "\x01\x07\x02\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x12",
		" CM DisconnectReply attribute=0x16 transaction=0x2":                          "\x01\x07\x02\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16",
		" CM unknown message attribute=0x1d transaction=0x2":                          "\x01\x07\x02\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x1d",
		" subnet administration method=0x81 attribute=0x35 transaction=0x2":           "\x01\x03\x02\x81\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x35",
		" performance management method=0x1 attribute=0x1 transaction=0x2 status=0x4": "\x01\x04\x01\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01",
		" management class 0x30 method=0x1 attribute=0x1 transaction=0x2":             "\x01\x30\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01",
	} {
		packet := handMade(0x64, generalQP, generalDETH, mad(header))
		stdout := dumped(t, pcap(t, layers.LinkTypeRaw, packet))
		require.Contains(t, stdout, " "+prefix+want+" icrc=ok\n")

		const headers = 20 + 8 + bthBytes + 8
		stdout = dumped(t, cutOffAt(t, headers+madHeaderBytes, packet))
		require.Contains(t, stdout, " "+prefix+want+" cut off\n")
		stdout = dumped(t, cutOffAt(t, headers+madHeaderBytes-1, packet))
		require.Contains(t, stdout, " "+prefix+" cut off\n", "nothing is said of a header that is not there")
	}

	stdout := dumped(t, pcap(t, layers.LinkTypeRaw, handMade(0x64, 2, generalDETH, mad("\x01\x07"))))
	require.Contains(t, stdout, "payload=256 icrc=ok\n", "another queue pair has no management datagrams")
}

func TestDumpMalformedManagementDatagrams(t *testing.T) {
	t.Parallel()
	const words = " UD SEND ONLY qp=0x1 psn=5 qkey=0x80010000 source-qp=0x1 "
	for want, payload := range map[string]string{
		"payload=100 malformed (management datagram that does not have 256 bytes) bytes=124": mad("\x01\x07")[:100],
		"payload=0 malformed (management datagram that does not have 256 bytes) bytes=24":    "",
		"payload=256 malformed (management datagram of an unknown version) bytes=280":        mad("\x02\x07"),
	} {
		stdout, err := dump(pcap(t, layers.LinkTypeRaw, handMade(0x64, generalQP, generalDETH, payload)))
		require.ErrorContains(t, err, "FILE: 1 of 1 RoCEv2 packets are malformed; ")
		require.Contains(t, stdout, words+want+" icrc=ok\nFILE: 1 packets: 1 RoCEv2, 0 bad ICRC, 1 malformed, ")
	}
}

// The kernel's own connection manager, in a capture of it.
func TestDumpConnectionManager(t *testing.T) {
	t.Parallel()
	stdout := dumped(t, goldenCapture(t, "rdmacm-rping.pcap"))
	var messages []string
	for line := range strings.Lines(stdout) {
		if _, rest, ok := strings.Cut(line, " CM "); ok {
			name, _, _ := strings.Cut(rest, " ")
			messages = append(messages, name)
		}
	}
	require.Equal(t, []string{"ConnectRequest", "ConnectReply", "ReadyToUse", "DisconnectRequest", "DisconnectReply"}, messages)
}
