package rc

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// write8 is a WRITE ONLY of 8 bytes to word n of what b grants.
func (p *pipe) write8(n int, ask bool) wire.Packet {
	return wire.Packet{Opcode: wire.WriteOnly, VA: p.b.open.base + uint64(8*n), RKey: p.b.open.key, Length: 8, Payload: data(8), AckRequest: ask}
}

func (p *pipe) readRequest(off, n int) wire.Packet {
	return wire.Packet{Opcode: wire.ReadRequest, VA: p.b.open.base + uint64(off), RKey: p.b.open.key, Length: uint32(n), AckRequest: true}
}

func (p *pipe) fetchAdd(off int, add uint64) wire.Packet {
	return wire.Packet{Opcode: wire.FetchAdd, VA: p.b.open.base + uint64(off), RKey: p.b.open.key, SwapAdd: add, AckRequest: true}
}

// TestAcks: an ACK is due when one was asked for; it is urgent when there are many
// packets, or the peer asked in the middle of a message; and one does for all.
func TestAcks(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.eager = false
	due := func(pending, urgent bool) {
		t.Helper()
		a, b := p.b.AckDue()
		require.Equal(t, [2]bool{pending, urgent}, [2]bool{a, b})
		require.Empty(t, p.replies())
	}
	ack := func(psn int) {
		t.Helper()
		p.eager = true
		r := p.replies()
		require.Len(t, r, 1)
		require.Equal(t, p.expecting(psn), r[0].PSN)
		p.eager = false
		due(false, false)
	}
	due(false, false)
	p.give(0, p.write8(0, false))
	due(false, false)
	p.give(0, p.write8(1, true))
	due(true, false)
	p.give(0, p.write8(2, false))
	ack(-1)
	for range manyUnacked - 1 {
		p.give(0, p.write8(3, true))
		due(true, false)
	}
	p.give(0, p.write8(3, false))
	due(true, true)
	ack(-1)
	for range manyUnacked {
		p.give(0, p.write8(3, false))
		due(false, false)
	}
	p.give(0, p.write8(3, true))
	ack(-1)
	p.give(0, wire.Packet{Opcode: wire.WriteFirst, VA: p.b.open.base, RKey: p.b.open.key, Length: 1500, Payload: data(1024), AckRequest: true})
	due(true, true)
	ack(-1)
	p.give(-1, wire.Packet{Opcode: wire.WriteFirst, Payload: data(1024)})
	due(true, true) // a duplicate, whether or not it asks
	ack(-1)
	require.EqualValues(t, 1, p.b.statistics.Duplicates)
	require.EqualValues(t, 5, p.b.statistics.AcksSent)
}

// TestAckBehindResponses: no ACK overtakes responses, and none is sent for what a
// response acknowledges; nor does a NAK.
func TestAckBehindResponses(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	opcodes := func() (o []wire.Opcode) {
		for _, r := range p.replies() {
			o = append(o, r.Opcode)
		}
		return o
	}
	p.give(0, p.write8(0, true))
	p.give(0, p.readRequest(0, 2000))
	p.give(0, p.fetchAdd(0, 1))
	require.Equal(t, []wire.Opcode{wire.ReadResponseFirst, wire.ReadResponseLast, wire.AtomicAcknowledge}, opcodes())
	p.give(0, p.readRequest(0, 2000))
	p.give(0, p.write8(0, true))
	require.Equal(t, []wire.Opcode{wire.ReadResponseFirst, wire.ReadResponseLast, wire.Acknowledge}, opcodes())
	p.give(0, p.readRequest(0, 20))
	p.give(1, p.write8(0, true))
	require.Equal(t, []wire.Opcode{wire.ReadResponseOnly, wire.Acknowledge}, opcodes())
}

// TestAckIsNoResponse: an ACK never has the number of a READ or an atomic, which rxe
// would take for its response, but of what was carried out before; its MSN counts
// them.
func TestAckIsNoResponse(t *testing.T) {
	t.Parallel()
	p := newPipe(t, func(c *Config) { c.Resources = 3 })
	ack := func(psn uint32, msn int) {
		t.Helper()
		r := p.replies()
		require.Len(t, r, 1)
		require.Equal(t, wire.Acknowledge, r[0].Opcode)
		require.EqualValues(t, wire.SyndromeACK, r[0].Syndrome&wire.SyndromeKind)
		require.Equal(t, psn, r[0].PSN)
		require.EqualValues(t, msn, r[0].MSN)
	}
	write := p.expecting(0)
	p.give(0, p.write8(0, true))
	ack(write, 1)
	p.give(0, p.fetchAdd(0, 1))
	require.Len(t, p.replies(), 1)
	p.give(-2, p.write8(0, true))
	ack(write, 2)
	p.give(0, p.readRequest(0, 2000))
	p.give(0, p.fetchAdd(0, 1))
	require.Len(t, p.replies(), 3)
	p.give(-5, p.write8(0, true))
	ack(write, 4)

	// A receive is posted that a Send behind them was waiting for.
	p.give(0, wire.Packet{Opcode: wire.SendOnly, Payload: data(10)})
	require.EqualValues(t, wire.SyndromeRNR, p.replies()[0].Syndrome&wire.SyndromeKind)
	p.b.receive(1, 0, 100)
	p.b.ReceivesPosted(p.now)
	ack(write, 4)

	// What is not remembered any more, the peer has got.
	p.give(0, p.readRequest(0, 2000))
	p.give(0, p.readRequest(0, 8))
	require.Len(t, p.replies(), 3)
	p.give(-8, p.write8(0, true))
	r := p.replies()
	require.Len(t, r, 1)
	require.Equal(t, wire.Acknowledge, r[0].Opcode)
	require.NotEqual(t, p.expecting(-1), r[0].PSN)

	// And the next message has its own number again.
	p.give(0, p.write8(0, true))
	ack(p.expecting(-1), 7)
	p.give(-3, p.write8(0, true)) // a stale copy
	ack(p.expecting(-1), 7)
}

// TestMSN counts messages, READs and atomics when they are carried out, and wraps.
func TestMSN(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.b.resp.msn = wire.PSNMask - 1
	p.give(0, wire.Packet{Opcode: wire.WriteFirst, VA: p.b.open.base, RKey: p.b.open.key, Length: 1500, Payload: data(1024), AckRequest: true})
	require.EqualValues(t, wire.PSNMask-1, p.replies()[0].MSN)
	p.give(0, wire.Packet{Opcode: wire.WriteLast, Payload: data(476), AckRequest: true})
	require.EqualValues(t, wire.PSNMask, p.replies()[0].MSN)
	p.give(0, p.readRequest(0, 2000))
	p.give(0, p.fetchAdd(0, 1))
	r := p.replies()
	require.EqualValues(t, 1, r[0].MSN, "of what was carried out, not of what is answered")
	require.EqualValues(t, 1, r[2].MSN)
}

// TestGap: one NAK for a gap, then silence, but not for ever.
func TestGap(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.give(1, p.write8(1, true))
	p.give(2, p.write8(2, true))
	p.expectNAK(wire.NAKSequence, p.expecting(0), "the first")
	start := p.now
	for p.now = start; p.now < start+nakAgain; p.now += nakAgain / 10 {
		p.give(3, p.write8(2, true))
		require.Empty(t, p.replies())
	}
	p.now = start + nakAgain
	p.give(3, p.write8(2, true))
	p.expectNAK(wire.NAKSequence, p.expecting(0), "again")
	p.now += nakAgain - 1
	p.give(3, p.write8(2, true))
	require.Empty(t, p.replies())
	p.give(2, p.write8(2, true))
	p.expectNAK(wire.NAKSequence, p.expecting(0), "the peer has gone back")
	for _, offset := range []int{2, 3, 3, 4, 9} {
		p.give(offset, p.write8(2, true))
		require.Empty(t, p.replies())
	}
	require.Equal(t, make([]byte, 32), p.b.open.mem[:32])
	require.EqualValues(t, 2+10+1+1+1+5, p.b.statistics.OutOfOrder)

	// A NAK that has not been sent when the packet comes is not sent at all.
	p.give(0, p.write8(0, true))
	require.Len(t, p.replies(), 1)
	p.give(1, p.write8(1, true))
	p.give(0, p.write8(0, true))
	p.give(0, p.write8(1, true))
	r := p.replies()
	require.Len(t, r, 1)
	require.EqualValues(t, wire.SyndromeACK, r[0].Syndrome)
	p.give(1, p.write8(1, true))
	p.expectNAK(wire.NAKSequence, p.expecting(0), "another gap")
}

// TestDuplicates: what was carried out before is acknowledged, with the newest
// number, and not carried out.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.b.receive(1, 0, 100)
	p.b.receive(2, 0, 100)
	p.give(0, p.write8(0, true))
	p.give(0, wire.Packet{Opcode: wire.SendOnly, Payload: data(10)})
	clear(p.b.open.mem)
	clear(p.b.inbox.mem)
	p.replies()
	for _, offset := range []int{-2, -1, -3, -1 << 23} {
		p.give(offset, p.write8(0, true))
		r := p.replies()
		require.Len(t, r, 1)
		require.Equal(t, p.expecting(-1), r[0].PSN)
		p.give(offset, wire.Packet{Opcode: wire.SendOnly, Payload: data(10)})
		p.give(offset, wire.Packet{Opcode: wire.SendFirst, Payload: data(10)})
		require.Len(t, p.replies(), 1)
	}
	require.Len(t, p.b.received, 1)
	require.Equal(t, make([]byte, 100), p.b.open.mem[:100])
	require.Equal(t, make([]byte, 100), p.b.inbox.mem[:100])
	require.NoError(t, p.b.Err())
}

// TestReadReplay: a Read is answered again, also in part, also while it is being
// answered; but only what was asked for before.
func TestReadReplay(t *testing.T) {
	t.Parallel()
	const mtu, n = 1024, 5000
	p := newPipe(t, func(c *Config) { c.Resources, c.MaxReads = 4, 4 })
	p.b.open.fill(1)
	p.give(0, p.readRequest(100, n))
	first := p.expecting(-5)
	// expect checks what is answered: packets from to until of the Read.
	expect := func(from, until int) {
		t.Helper()
		r := p.replies()
		require.Len(t, r, until-from)
		for i, s := range r {
			k := from + i
			require.Equal(t, wire.PSNAdd(first, k), s.PSN)
			require.Equal(t, readOpcode(i == 0, k == until-1), s.Opcode)
			require.True(t, bytes.Equal(p.b.open.mem[100+mtu*k:100+min(mtu*k+mtu, n)], s.Payload[0]))
		}
	}
	part := func(from, bytes int) {
		s := p.readRequest(100+from*mtu, bytes)
		s.PSN = wire.PSNAdd(first, from)
		p.b.Handle(&s, p.now)
	}
	expect(0, 5)
	part(0, n)
	expect(0, 5)
	part(2, n-2*mtu)
	expect(2, 5)
	part(4, n-4*mtu)
	expect(4, 5)
	part(1, 2*mtu)
	expect(1, 3)
	require.EqualValues(t, 4, p.b.statistics.ReplayedReads)

	// Asked for again when the answer has got to packet 3.
	part(0, n)
	for range 3 {
		p.next(p.b)
	}
	part(1, n-mtu)
	expect(1, 5)

	// What does not fit what was asked for is not answered.
	for _, bad := range []func(s *wire.Packet){
		func(s *wire.Packet) { s.Length++ },
		func(s *wire.Packet) { s.Length = 0 },
		func(s *wire.Packet) { s.Length = 1 << 31 },
		func(s *wire.Packet) { s.VA++ },
		func(s *wire.Packet) { s.RKey++ },
		func(s *wire.Packet) { s.PSN = wire.PSNAdd(s.PSN, 1) },
		func(s *wire.Packet) { s.PSN = wire.PSNAdd(s.PSN, -1) },
		func(s *wire.Packet) { s.PSN = wire.PSNAdd(s.PSN, -1<<22) },
		func(s *wire.Packet) { s.Payload = data(1) },
		func(s *wire.Packet) { s.Opcode = wire.FetchAdd },
		func(s *wire.Packet) { s.Opcode = wire.CompareSwap },
	} {
		s := p.readRequest(100+mtu, n-mtu)
		s.PSN = wire.PSNAdd(first, 1)
		bad(&s)
		p.b.Handle(&s, p.now)
		require.Empty(t, p.replies())
	}

	// Others behind it are not disturbed, and it is answered before them.
	p.give(0, p.fetchAdd(8000, 1))
	p.give(0, p.readRequest(9000, 3000))
	require.Equal(t, wire.AtomicAcknowledge, p.next(p.b).Opcode)
	require.Equal(t, wire.ReadResponseFirst, p.next(p.b).Opcode)
	part(3, n-3*mtu)
	r := p.replies()
	require.Len(t, r, 4)
	require.Equal(t, []uint32{wire.PSNAdd(first, 3), wire.PSNAdd(first, 4), wire.PSNAdd(first, 7), wire.PSNAdd(first, 8)}, []uint32{r[0].PSN, r[1].PSN, r[2].PSN, r[3].PSN})

	// And it is forgotten when the peer cannot need it any more.
	p.give(0, p.readRequest(0, 0))
	require.Len(t, p.replies(), 1)
	part(0, n)
	require.Len(t, p.replies(), 5, "there are four")
	part(0, n)
	p.give(-5, p.fetchAdd(8000, 1)) // and the second
	p.give(0, p.readRequest(0, 0))
	r = p.replies()
	require.Len(t, r, 2, "the answer to the first is not needed any more")
	require.Equal(t, []uint32{wire.PSNAdd(first, 5), p.expecting(-1)}, []uint32{r[0].PSN, r[1].PSN})
	part(0, n)
	require.Empty(t, p.replies())
	require.NoError(t, p.b.Err())
}

// TestAtomicReplay: an atomic is carried out once, and answered as often as it is
// asked for with what it did.
func TestAtomicReplay(t *testing.T) {
	t.Parallel()
	p := newPipe(t, func(c *Config) { c.Resources = 4 })
	binary.NativeEndian.PutUint64(p.b.open.mem[8:], 1000)
	for i := range 4 {
		p.give(0, p.fetchAdd(8, uint64(i+1)))
	}
	results := []uint64{1000, 1001, 1003, 1006}
	r := p.replies()
	for i, want := range results {
		require.Equal(t, want, r[i].Original)
		require.Equal(t, p.expecting(i-4), r[i].PSN)
	}
	for _, i := range []int{2, 0, 3, 3, 1} {
		p.give(i-4, p.fetchAdd(8, 7777))
		r := p.replies()
		require.Len(t, r, 1)
		require.Equal(t, wire.AtomicAcknowledge, r[0].Opcode)
		require.Equal(t, results[i], r[0].Original)
	}
	p.give(-1, p.fetchAdd(8, 7777))
	p.give(-3, p.fetchAdd(8, 7777))
	p.give(-3, p.fetchAdd(8, 7777))
	r = p.replies()
	require.Len(t, r, 2)
	require.Equal(t, []uint64{1001, 1006}, []uint64{r[0].Original, r[1].Original}, "in order")
	require.EqualValues(t, 8, p.b.statistics.ReplayedAtomics)
	p.give(-5, p.fetchAdd(8, 7777))
	require.Empty(t, p.replies())
	p.give(0, p.fetchAdd(8, 1))
	p.give(-5, p.fetchAdd(8, 7777))
	require.Len(t, p.replies(), 1, "the oldest is forgotten")
	require.EqualValues(t, 1011, p.b.open.uint64(8))
}

// TestTooManyReads: no more are outstanding than agreed.
func TestTooManyReads(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2, 3, 5, 16} {
		p := newPipe(t, func(c *Config) { c.Resources = limit })
		for range 3 { // answered ones do not count
			for range limit {
				p.give(0, p.readRequest(0, 2000))
			}
			require.Len(t, p.replies(), 2*limit)
		}
		for i := range limit {
			if i%2 == 0 {
				p.give(0, p.readRequest(0, 2000))
			} else {
				p.give(0, p.fetchAdd(0, 1))
			}
		}
		require.NoError(t, p.b.Err())
		before := p.b.open.uint64(0)
		psn := p.expecting(0)
		p.give(0, p.fetchAdd(0, 1))
		require.Error(t, p.b.Err())
		require.Equal(t, before, p.b.open.uint64(0))
		p.expectNAK(wire.NAKInvalidRequest, psn, "too many")
	}
}

// TestReplayOfClosedRegion: a stale READ request does no harm. If the peer still waits
// for the answer, it gets a NAK.
func TestReplayOfClosedRegion(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		p := newPipe(t, nil)
		other := p.b.memory.add(100, transport.RemoteAll)
		p.post(p.a, signaled(transport.Read(1, p.a.local.span(0, 8), other.remote(0, 8))), signaled(transport.FetchAdd(2, p.a.local.span(0, 8), p.b.open.remote(0, 8), 1)))
		request := p.take(p.a)
		p.hand(request...)
		for _, s := range p.take(p.b) {
			if !lost || s.Opcode != wire.ReadResponseOnly {
				p.hand(s)
			}
		}
		other.closed = true
		if !lost {
			p.hand(request...)
		}
		p.run()
		require.NoError(t, p.b.Err())
		if !lost {
			p.allOK(p.a, 2)
			require.Equal(t, []wire.Opcode{wire.Acknowledge, wire.AtomicAcknowledge}, p.opcodes(p.b), "what is behind it is answered")
			continue
		}
		require.Equal(t, []transport.Status{transport.StatusRemoteAccess, transport.StatusFlushed}, p.a.statuses())
		require.True(t, p.a.told)
	}
}

// TestWatchedWord: the last word of a Write, if it ends on a multiple of 8, is
// stored with its last byte and not before, however it is cut.
func TestWatchedWord(t *testing.T) {
	t.Parallel()
	const mtu = 256
	for start := range 9 {
		for n := mtu - 9; n < 2*mtu+20; n++ {
			p := newPipe(t, func(c *Config) { c.MTU = mtu })
			p.a.local.fill(3)
			p.post(p.a, signaled(transport.Write(1, p.a.local.span(0, n), p.b.open.remote(start, n))))
			p.pass = func(s *sentPacket) int {
				if s.from == p.a && s.Opcode.IsLast() && (start+n)%8 == 0 {
					word := start + n - 8
					require.Equal(t, make([]byte, 8), p.b.open.mem[word:word+8], "%d at %d", n, start)
					require.Equal(t, p.a.local.mem[:max(0, min(n-8, (n-1)/mtu*mtu))], p.b.open.mem[start:start+max(0, min(n-8, (n-1)/mtu*mtu))])
				}
				return 1
			}
			p.run()
			p.allOK(p.a, 1)
			require.True(t, bytes.Equal(p.a.local.mem[:n], p.b.open.mem[start:start+n]), "%d at %d", n, start)
			require.Equal(t, make([]byte, 20), p.b.open.mem[start+n:][:20])
			require.Equal(t, make([]byte, start), p.b.open.mem[:start])
		}
	}
}

// TestHeldBackAndTurnedAway: the packet with the rest of the word comes twice.
func TestHeldBackAndTurnedAway(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.a.local.fill(3)
	p.post(p.a, signaled(transport.WriteImm(1, p.a.local.span(0, 1029), p.b.open.remote(3, 1029), 9)))
	p.carry()
	require.EqualValues(t, 1, p.b.statistics.RNRNAKsSent)
	require.Equal(t, make([]byte, 8), p.b.open.mem[1024:1032])
	p.b.receive(1, 0, 0)
	p.run()
	p.allOK(p.a, 1)
	require.Equal(t, p.a.local.mem[:1029], p.b.open.mem[3:1032])
}

// TestTurns: a peer that reads without a pause does not keep this end from sending.
func TestTurns(t *testing.T) {
	t.Parallel()
	p := newBigPipe(t, nil)
	p.give(0, p.readRequest(0, 100_000))
	p.post(p.b, signaled(transport.Write(1, p.b.local.span(0, 8), p.a.open.remote(0, 8))), signaled(transport.Write(2, p.b.local.span(0, 8), p.a.open.remote(0, 8))))
	for i := range 2*burst + 2 {
		require.Equal(t, i%(burst+1) == burst, p.next(p.b).Opcode == wire.WriteOnly, i)
	}
}

func TestSequence(t *testing.T) {
	t.Parallel()
	s := firstSequence(0xffffff)
	require.EqualValues(t, 0xffffff, s.onWire())
	require.EqualValues(t, 0, (s + 1).onWire())
	require.Equal(t, s+1, s.near(0))
	require.Equal(t, s, (s + 1).near(0xffffff))
	require.Equal(t, s-1<<23, s.near(0x7fffff))
	require.Equal(t, s+1<<23-1, s.near(0x7ffffe))
	require.Less(t, firstSequence(0).near(0x800000), firstSequence(0))
}
