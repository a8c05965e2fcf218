package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// Every packet of the kernel's driver decodes, its ICRC holds by every way of
// verifying it, and it encodes to the same bytes again. There are acknowledgements
// without a limit of credits, and no NAK. The messages of RDMA-CM are datagrams between
// the QPs 1, with a well-known key.
func TestGolden(t *testing.T) {
	t.Parallel()
	counts, syndromes, messages := map[Opcode]int{}, map[uint8]int{}, 0
	for _, c := range golden(t) {
		var p Packet
		require.NoError(t, p.Decode(c.Datagram), c)
		counts[p.Opcode]++
		if p.Opcode.HasAETH() {
			syndromes[p.Syndrome]++
		}
		if c.file == "rdmacm-rping.pcap" && p.Opcode.IsUD() {
			messages++
			require.Equal(t, [3]uint32{1, 1, 0x80010000}, [3]uint32{p.DestQP, p.SourceQP, p.QKey}, c)
			require.Equal(t, 256, p.PayloadBytes(), c)
		}

		f := NewFlow(c.Src, c.Dst)
		require.True(t, bitwiseCheck(c.ip), c)
		require.True(t, CheckIP(c.ip), c)
		require.True(t, f.CheckID(c.Datagram, c.ID), c)
		id, ok := f.Check(c.Datagram)
		require.True(t, ok, c)
		require.Equal(t, c.ID, id, c)

		require.Equal(t, len(c.Datagram), p.DatagramBytes(), c)
		require.Equal(t, c.Datagram, p.AppendTo(nil, &f, c.ID), c)
	}
	require.Empty(t, cmp.Diff(map[Opcode]int{
		SendFirst:          29,
		SendMiddle:         87,
		SendLast:           29,
		SendOnly:           27,
		WriteFirst:         21,
		WriteMiddle:        2022,
		WriteLast:          21,
		WriteOnly:          18,
		ReadRequest:        29,
		ReadResponseFirst:  13,
		ReadResponseMiddle: 976,
		ReadResponseLast:   16,
		ReadResponseOnly:   9,
		Acknowledge:        204,
		AtomicAcknowledge:  42,
		CompareSwap:        6,
		FetchAdd:           38,
		UDSendOnly:         17,
	}, counts), "3,604 packets in all")
	require.Equal(t, map[uint8]int{SyndromeACK | CreditsUnlimited: 284}, syndromes)
	require.Equal(t, 5, messages, "REQ, REP, RTU, DREQ, DREP")
}
