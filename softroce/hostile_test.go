package softroce

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// attacker sends what it likes from an address that is as good as the peer's.
type attacker struct {
	t      *testing.T
	random *rand.Rand
	conn   *net.UDPConn
	target *Adapter
	flow   wire.Flow
	golden [][]byte // datagrams of the kernel's driver
}

func newAttacker(t *testing.T, peer, target *Adapter) *attacker {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: peer.Address().Addr().AsSlice()})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	from := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	a := &attacker{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), conn: conn, target: target,
		flow: wire.NewFlow(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), target.Address()),
	}
	files, err := filepath.Glob("wire/testdata/*.pcap")
	require.NoError(t, err)
	for _, name := range files {
		a.read(name)
	}
	require.Greater(t, len(a.golden), 3000)
	return a
}

func (a *attacker) read(name string) {
	f, err := os.Open(name)
	require.NoError(a.t, err)
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	require.NoError(a.t, err)
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			return
		}
		const ethernetHeaderBytes = 14
		frame, err := wire.ParseIP(data[ethernetHeaderBytes:])
		require.NoError(a.t, err)
		a.golden = append(a.golden, frame.Datagram)
	}
}

func (a *attacker) send(datagram []byte) {
	_, err := a.conn.WriteToUDPAddrPort(datagram, a.target.Address())
	require.NoError(a.t, err)
}

// mutate changes a golden packet, one of several ways.
func (a *attacker) mutate(q *queuePair) []byte {
	b := append([]byte(nil), a.golden[a.random.IntN(len(a.golden))]...)
	for range a.random.IntN(4) {
		b[a.random.IntN(len(b))] ^= byte(1 << a.random.IntN(8))
	}
	switch a.random.IntN(5) {
	case 0: // truncated
		return b[:a.random.IntN(len(b))]
	case 1: // oversized
		b = append(b, make([]byte, a.random.IntN(9000-len(b)))...)
	case 2: // an opcode that does not fit
		b[0] = byte(a.random.IntN(256))
	}
	if a.random.IntN(4) > 0 { // for the live queue pair, with a PSN that is far away
		b[5], b[6], b[7] = byte(q.qpn>>16), byte(q.qpn>>8), byte(q.qpn)
		psn := wire.PSNAdd(q.machine.Delivered(), 1<<22+a.random.IntN(1<<22))
		b[9], b[10], b[11] = byte(psn>>16), byte(psn>>8), byte(psn)
	}
	if len(b) >= minDatagram && a.random.IntN(4) > 0 { // with a checksum that holds
		a.flow.Seal(b, 0)
	}
	return b
}

// Whatever strangers send, no memory is touched, the counters tell, and the
// connection goes on.
func TestHostilePackets(t *testing.T) {
	t.Parallel()
	x, y := pairtest.New(t, "softroce:?psn=0xfffff0")
	target := y.Dev.Adapter().(*Adapter)
	var q *queuePair
	target.engine.Lock()
	for _, q = range target.engine.pairs {
		q.from.pinned = false // as for a peer that chooses ports; or nothing would get further
	}
	target.engine.Unlock()

	const size = 1 << 16
	from, to := x.Alloc(size, transport.LocalOnly), y.Alloc(size, transport.RemoteAll)
	bystander := y.Alloc(size, transport.RemoteAll)
	for i := range from.Bytes() {
		from.Bytes()[i] = byte(i * 7)
	}
	a := newAttacker(t, x.Dev.Adapter().(*Adapter), target)
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for round := range rounds {
		for range 50 {
			target.engine.Lock() // for Delivered
			b := a.mutate(q)
			target.engine.Unlock()
			a.send(b)
		}
		y.Recv(transport.Recv(2, transport.Span{}))
		x.Post(transport.WriteImm(uint64(round), from.Span(0, size), to.Remote(0, size), uint32(round)).With(transport.Signaled))
		require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
		got := y.Take(1)[0]
		require.Equal(t, transport.StatusOK, got.Status)
		require.Equal(t, uint32(round), got.Imm)
		require.Equal(t, from.Bytes(), to.Bytes())
		require.Equal(t, make([]byte, size), bystander.Bytes())
	}
	c := target.Counters()
	t.Logf("counters: %v", c)
	for _, name := range []string{"icrc_failures", "malformed", "unknown_queue_pair"} {
		require.NotZero(t, c[name], name)
	}
	require.NoError(t, x.Conn.Err())
	require.NoError(t, y.Conn.Err())
}

// Packets from another address are not even looked at.
func TestWrongSource(t *testing.T) {
	t.Parallel()
	_, y := pairtest.New(t, "softroce:")
	target := y.Dev.Adapter().(*Adapter)
	var qpn uint32
	target.engine.Lock()
	for qpn = range target.engine.pairs {
	}
	target.engine.Unlock()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 9, 9, 9)})
	require.NoError(t, err)
	defer conn.Close()
	b := make([]byte, 20)
	b[0], b[5], b[6], b[7] = byte(wire.Acknowledge), byte(qpn>>16), byte(qpn>>8), byte(qpn)
	_, err = conn.WriteToUDPAddrPort(b, target.Address())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return target.Counters()["wrong_source"] == 1 }, pairtest.Patience, 1e6)
}

// What is right in all but the port is not from a softroce, and may well be from an
// adapter.
func TestWrongPort(t *testing.T) {
	t.Parallel()
	for _, parameters := range []string{"", "?icrc=exact"} {
		for _, pinned := range []bool{true, false} {
			if parameters != "" && (!pinned || os.Getuid() != 0) {
				continue // it takes a raw socket, and sees that the attacker's has other identifications
			}
			x, y := pairtest.New(t, "softroce:"+parameters)
			target, room := y.Dev.Adapter().(*Adapter), y.Alloc(8, transport.RemoteAll)
			a := newAttacker(t, x.Dev.Adapter().(*Adapter), target)
			target.engine.Lock()
			var q *queuePair
			for _, q = range target.engine.pairs {
			}
			require.True(t, q.from.pinned)
			q.from.pinned = pinned
			p := wire.Packet{
				Opcode: wire.WriteOnly, PKey: wire.DefaultPKey, DestQP: q.qpn, PSN: q.machine.Delivered(),
				VA: room.Remote(0, 8).Addr, RKey: uint32(room.Remote(0, 8).Key), Length: 8, Payload: [2][]byte{[]byte("forgery!")},
			}
			target.engine.Unlock()
			a.send(p.AppendTo(nil, &a.flow, 0))
			if !pinned { // it would have come in
				require.Eventually(t, func() bool { return target.Counters()["requests_received"] == 1 }, pairtest.Patience, 1e6)
				require.Equal(t, "forgery!", string(room.Bytes()))
				continue
			}
			require.Eventually(t, func() bool { return target.Counters()["wrong_source"] == 1 }, pairtest.Patience, 1e6)
			require.Zero(t, target.Counters()["requests_received"])
			require.Equal(t, make([]byte, 8), room.Bytes())
			from := x.Alloc(8, transport.LocalOnly)
			x.Post(transport.Write(1, from.Span(0, 8), room.Remote(0, 8)).With(transport.Signaled))
			require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
		}
	}
}
