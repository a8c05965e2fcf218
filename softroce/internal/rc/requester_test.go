package rc

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// reply hands an acknowledgement to a, of the packet number offset from a's first.
func (p *pipe) reply(offset int, syndrome uint8) {
	s := wire.Packet{Opcode: wire.Acknowledge, PSN: wire.PSNAdd(0xfffff0, offset), Syndrome: syndrome}
	p.a.Handle(&s, p.now)
}

const ackUnlimited = wire.SyndromeACK | wire.CreditsUnlimited

// writes posts n signaled writes of so many bytes at a.
func (p *pipe) writes(n, bytes int) {
	for i := range n {
		p.post(p.a, signaled(transport.Write(uint64(i), p.a.local.span(0, bytes), p.b.open.remote(0, bytes))))
	}
}

// TestStaleAcknowledgements: acknowledgements of what is not outstanding change nothing.
func TestStaleAcknowledgements(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.writes(3, 100)
	require.Len(t, p.take(p.a), 3)
	for _, offset := range []int{-1, -2, -1 << 23, 3, 4, 1<<23 - 1} {
		for _, syndrome := range []uint8{0, ackUnlimited, wire.SyndromeRNR | 1, wire.NAKSequence, wire.NAKInvalidRequest, wire.NAKRemoteAccess, wire.NAKRemoteOperational} {
			p.reply(offset, syndrome)
		}
		for _, o := range []wire.Opcode{wire.ReadResponseOnly, wire.ReadResponseFirst, wire.ReadResponseMiddle, wire.AtomicAcknowledge} {
			p.a.Handle(&wire.Packet{Opcode: o, PSN: wire.PSNAdd(0xfffff0, offset), Payload: data(8)}, p.now)
		}
	}
	require.EqualValues(t, 6*(7+4), p.a.statistics.StaleAcks)
	require.Empty(t, p.take(p.a))
	require.Empty(t, p.a.sent)
	// Nor do those of what is, if they make no sense.
	for _, syndrome := range []uint8{0x40, 0x64, 0x7f, 0x80, 0xff} {
		p.reply(0, syndrome)
	}
	for _, o := range []wire.Opcode{wire.ReadResponseOnly, wire.AtomicAcknowledge, wire.UDSendOnly, wire.Opcode(0x15)} {
		p.a.Handle(&wire.Packet{Opcode: o, PSN: 0xfffff0, Payload: data(8)}, p.now)
	}
	p.a.Handle(&wire.Packet{Opcode: wire.ReadResponseOnly, PSN: 0xfffff0, Syndrome: wire.NAKSequence}, p.now)
	require.EqualValues(t, 5+4+1, p.a.statistics.InvalidPackets)
	require.Empty(t, p.take(p.a))
	require.Empty(t, p.a.sent)
	require.NoError(t, p.a.Err())
	p.reply(2, ackUnlimited)
	p.allOK(p.a, 3)
}

// TestWrongResponses: responses of the wrong length or kind are not stored, and do
// not count.
func TestWrongResponses(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.post(p.a, signaled(transport.Read(1, p.a.local.span(0, 2500), p.b.open.remote(0, 2500))), signaled(transport.FetchAdd(2, p.a.local.span(4096, 8), p.b.open.remote(0, 8), 1)))
	p.take(p.a)
	response := func(o wire.Opcode, offset, n int) {
		p.a.Handle(&wire.Packet{Opcode: o, PSN: wire.PSNAdd(0xfffff0, offset), Syndrome: ackUnlimited, Payload: data(n), Original: 5}, p.now)
	}
	for _, n := range []int{0, 1, 1023, 1025, 4096} {
		response(wire.ReadResponseFirst, 0, n)
	}
	response(wire.ReadResponseLast, 0, 1024)
	response(wire.ReadResponseOnly, 0, 1024)
	response(wire.AtomicAcknowledge, 0, 0)
	require.EqualValues(t, 8, p.a.statistics.InvalidPackets)
	require.Equal(t, make([]byte, 5000), p.a.local.mem[:5000])
	response(wire.ReadResponseFirst, 0, 1024)
	response(wire.ReadResponseFirst, 1, 1024) // what a replay begins with
	for _, n := range []int{0, 451, 453, 1024} {
		response(wire.ReadResponseLast, 2, n)
	}
	response(wire.ReadResponseMiddle, 2, 452)
	require.EqualValues(t, 13, p.a.statistics.InvalidPackets)
	require.Equal(t, make([]byte, 1000), p.a.local.mem[2048:3048])
	response(wire.ReadResponseLast, 2, 452)
	require.Len(t, p.a.sent, 1)
	response(wire.ReadResponseOnly, 3, 8)
	require.EqualValues(t, 14, p.a.statistics.InvalidPackets)
	response(wire.AtomicAcknowledge, 3, 0)
	p.allOK(p.a, 2)
	require.EqualValues(t, 5, p.a.local.uint64(4096))
}

// TestResponseLost: what passes an unanswered READ or atomic has it repeated from
// where it was answered, once until there is progress or a timeout, and never ends
// it.
func TestResponseLost(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.post(p.a, signaled(transport.Write(0, p.a.local.span(0, 8), p.b.open.remote(0, 8))),
		signaled(transport.Read(1, p.a.local.span(0, 5000), p.b.open.remote(16, 5000))), signaled(transport.FetchAdd(2, p.a.local.span(0, 8), p.b.open.remote(0, 8), 1)),
		signaled(transport.Write(3, p.a.local.span(0, 8), p.b.open.remote(0, 8))))
	require.Len(t, p.take(p.a), 4)
	middle := wire.Packet{Opcode: wire.ReadResponseFirst, PSN: wire.PSNAdd(0xfffff0, 1), Syndrome: ackUnlimited, Payload: data(1024)}
	p.a.Handle(&middle, p.now)
	require.Len(t, p.a.sent, 1, "the response acknowledges the Write before it")
	p.reply(7, ackUnlimited)
	again := p.take(p.a)
	require.Len(t, again, 3)
	require.Equal(t, [4]uint64{uint64(wire.ReadRequest), uint64(wire.PSNAdd(0xfffff0, 2)), p.b.open.base + 16 + 1024, 5000 - 1024},
		[4]uint64{uint64(again[0].Opcode), uint64(again[0].PSN), again[0].VA, uint64(again[0].Length)})
	for range 3 {
		p.reply(7, ackUnlimited)
		p.reply(5, ackUnlimited)
		p.reply(6, wire.NAKSequence)
		p.reply(6, wire.NAKRemoteAccess)
		p.a.Handle(&wire.Packet{Opcode: wire.AtomicAcknowledge, PSN: wire.PSNAdd(0xfffff0, 6)}, p.now)
	}
	require.Empty(t, p.take(p.a))
	require.Len(t, p.a.sent, 1)
	require.NoError(t, p.a.Err())
	require.EqualValues(t, 1, p.a.statistics.LostResponses)
	p.timeout()
	require.Len(t, p.take(p.a), 3)
	p.reply(7, ackUnlimited)
	require.Len(t, p.take(p.a), 3, "after a timeout, once more")
	middle.PSN = wire.PSNAdd(middle.PSN, 1)
	p.a.Handle(&middle, p.now)
	p.reply(7, ackUnlimited)
	require.Len(t, p.take(p.a), 3, "and after progress")
}

// TestSequenceNAK: everything is sent again from the packet that is missing, once
// for a NAK and its copies; a NAK that comes after a round trip is another one.
func TestSequenceNAK(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.writes(3, 5000)
	require.Len(t, p.take(p.a), 15)
	p.reply(7, wire.NAKSequence)
	require.Len(t, p.a.sent, 1)
	again := p.take(p.a)
	require.Len(t, again, 8)
	require.Equal(t, wire.WriteMiddle, again[0].Opcode)
	require.Equal(t, wire.PSNAdd(0xfffff0, 7), again[0].PSN)
	p.reply(7, wire.NAKSequence)
	p.now += nakPatience - 1
	p.reply(7, wire.NAKSequence)
	require.Empty(t, p.take(p.a))
	p.now++
	p.reply(7, wire.NAKSequence)
	require.Len(t, p.take(p.a), 8)
	p.now += 2*nakPatience - 1
	p.reply(7, wire.NAKSequence)
	require.Empty(t, p.take(p.a), "more patience each time")
	p.now++
	p.reply(7, wire.NAKSequence)
	require.Len(t, p.take(p.a), 8)
	p.reply(8, wire.NAKSequence)
	require.Len(t, p.take(p.a), 7, "another packet")
	require.EqualValues(t, 7, p.a.statistics.SequenceNAKsReceived)
	require.EqualValues(t, 8+8+8+7, p.a.statistics.Retransmitted)
	require.EqualValues(t, 15, p.a.statistics.DataSent)
	p.reply(14, ackUnlimited)
	p.allOK(p.a, 3)
	require.Zero(t, p.a.Deadline())
}

// TestAckWhileGoingBack: what was to be sent again and is acknowledged meanwhile is
// not sent again.
func TestAckWhileGoingBack(t *testing.T) {
	t.Parallel()
	for upTo := range 15 {
		p := newPipe(t, nil)
		p.writes(3, 5000)
		p.take(p.a)
		p.reply(0, wire.NAKSequence)
		for range 3 {
			p.next(p.a)
		}
		p.reply(upTo, ackUnlimited)
		rest := p.take(p.a)
		require.Len(t, rest, 15-max(3, upTo+1))
		if len(rest) > 0 {
			require.Equal(t, wire.PSNAdd(0xfffff0, max(3, upTo+1)), rest[0].PSN)
		}
		p.reply(14, ackUnlimited)
		p.allOK(p.a, 3)
	}
}

// TestAnswersWhileGoingBack: the same for reads and atomics.
func TestAnswersWhileGoingBack(t *testing.T) {
	t.Parallel()
	for answered := range 10 {
		for sent := range 4 {
			p := newPipe(t, func(c *Config) { c.Window = 8 }) // 4 packets a READ request at most
			p.b.open.fill(3)
			p.post(p.a, signaled(transport.Read(1, p.a.local.span(0, 4000), p.b.open.remote(0, 4000))), signaled(transport.FetchAdd(2, p.a.local.span(5000, 8), p.b.open.remote(8000, 8), 1)),
				signaled(transport.Read(3, p.a.local.span(6000, 3000), p.b.open.remote(4000, 3000))))
			p.hand(p.take(p.a)...)
			responses := p.take(p.b)
			require.Len(t, responses, 8)
			p.timeout()
			var s wire.Packet
			for range sent {
				if p.a.Next(p.now, true, &s) {
					p.b.Handle(&s, p.now)
				}
			}
			for _, r := range responses[:min(answered, 8)] {
				p.a.Handle(&r.Packet, p.now)
			}
			p.run()
			p.allOK(p.a, 3)
			require.Equal(t, p.b.open.mem[:4000], p.a.local.mem[:4000])
			require.Equal(t, p.b.open.mem[4000:7000], p.a.local.mem[6000:9000])
			want := min(sent, 3)
			for _, end := range []int{4, 5, 8}[want:] {
				if answered < end {
					want++
				}
			}
			require.EqualValues(t, want, p.a.statistics.Retransmitted)
			require.EqualValues(t, 1, p.a.statistics.Timeouts)
		}
	}
}

// TestTimer: the retransmission timer runs while something is outstanding, progress
// restarts it, and it doubles up to AckTimeout.
func TestTimer(t *testing.T) {
	t.Parallel()
	p := newPipe(t, func(c *Config) { c.Retries, c.AckTimeout = 5, 4*testWait })
	require.Zero(t, p.a.Deadline())
	p.writes(4, 100)
	require.Zero(t, p.a.Deadline())
	p.take(p.a)
	require.Equal(t, p.now+testWait, p.a.Deadline())
	p.now += testWait / 2
	p.reply(1, ackUnlimited)
	first := p.a.Deadline()
	require.Equal(t, p.now+2*testWait, first, "for a probe: two round trips, and four times half of one")
	p.now += testWait / 4
	p.reply(1, ackUnlimited) // no progress
	p.reply(2, wire.NAKSequence)
	require.Equal(t, first, p.a.Deadline())
	p.a.Expire(first - 1)
	require.Zero(t, p.a.statistics.Timeouts)
	p.now = first
	p.take(p.a)
	p.a.Expire(p.now)
	probe := p.take(p.a)
	require.Len(t, probe, 1)
	require.Equal(t, wire.PSNAdd(0xfffff0, 3), probe[0].PSN)
	require.Equal(t, p.now+3*testWait, p.a.Deadline(), "four round trips, and four times half of one; no more than AckTimeout")
	for i := range 5 {
		p.now = p.a.Deadline()
		p.take(p.a)
		p.a.Expire(p.now)
		require.EqualValues(t, i+1, p.a.statistics.Timeouts)
		require.Equal(t, p.now+4*testWait, p.a.Deadline())
	}
	require.Len(t, p.take(p.a), 2)
	p.expire()
	require.Equal(t, []transport.Status{transport.StatusOK, transport.StatusOK, transport.StatusRetryExceeded, transport.StatusFlushed}, p.a.statuses())
	require.True(t, p.a.told)
	require.Zero(t, p.a.Deadline())
}

// TestProgressForgivesTimeouts: Retries are in a row.
func TestProgressForgivesTimeouts(t *testing.T) {
	t.Parallel()
	p := newPipe(t, func(c *Config) { c.Retries = 1 })
	p.writes(10, 100)
	p.take(p.a)
	for i := range 10 {
		p.timeout()
		p.reply(i, ackUnlimited)
	}
	p.allOK(p.a, 10)
	require.Zero(t, p.a.req.roundTrip.smooth, "nobody knows which of the two was acknowledged")
}

// TestRetries: so many timeouts in a row, and no more; each request ends, once and in
// bounded time.
func TestRetries(t *testing.T) {
	t.Parallel()
	for _, retries := range []int{0, 1, 7} {
		p := newPipe(t, func(c *Config) { c.Retries = retries })
		p.lose(func(*sentPacket) bool { return true })
		p.writes(2, 5000)
		p.post(p.a, signaled(transport.Read(2, p.a.local.span(0, 5000), p.b.open.remote(0, 5000))))
		p.run()
		require.Equal(t, []transport.Status{transport.StatusRetryExceeded, transport.StatusFlushed, transport.StatusFlushed}, p.a.statuses())
		require.Equal(t, []int{1, 1, 1}, p.a.entries)
		require.EqualValues(t, retries+1, p.a.statistics.Timeouts)
		require.GreaterOrEqual(t, p.now-time.Second, time.Duration(retries+1)*testWait)
		require.LessOrEqual(t, p.now-time.Second, time.Duration(retries+1)*64*testWait)
		require.Len(t, p.a.failures, 1)
		require.ErrorIs(t, p.a.Err(), p.a.failures[0])
		require.True(t, p.a.told)
	}
}

// TestTailProbe: when nothing comes for a while, what was sent last is sent again,
// once, and asks.
func TestTailProbe(t *testing.T) {
	t.Parallel()
	write := func(p *pipe) transport.WorkRequest {
		return transport.Write(1, p.a.local.span(0, 2500), p.b.open.remote(0, 2500))
	}
	for name, c := range map[string]struct {
		post []func(p *pipe) transport.WorkRequest
		want sentPacket // opcode, PSN behind the first of the round, address, length
	}{
		"unsignaled write": {[]func(p *pipe) transport.WorkRequest{write}, sentPacket{Packet: wire.Packet{Opcode: wire.WriteLast, PSN: 2}}},
		"fetch-add": {[]func(p *pipe) transport.WorkRequest{write, func(p *pipe) transport.WorkRequest {
			return transport.FetchAdd(1, p.a.local.span(0, 8), p.b.open.remote(8, 8), 1)
		}}, sentPacket{Packet: wire.Packet{Opcode: wire.FetchAdd, PSN: 3, VA: 8}}},
		"read": {[]func(p *pipe) transport.WorkRequest{func(p *pipe) transport.WorkRequest {
			return transport.Read(1, p.a.local.span(0, 20_000), p.b.open.remote(16, 20_000))
		}}, sentPacket{Packet: wire.Packet{Opcode: wire.ReadRequest, PSN: 16, VA: 16 + 16384, Length: 20_000 - 16384}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newBigPipe(t, nil)
			p.post(p.a, signaled(write(p)))
			p.hand(p.take(p.a)...)
			p.now += 10 * time.Microsecond
			p.carry() // now the round trip is known
			p.allOK(p.a, 1)
			first := wire.PSNAdd(0xfffff0, 3)
			for _, wr := range c.post {
				p.post(p.a, wr(p))
			}
			require.NotEmpty(t, p.take(p.a)) // and all is lost
			p.expire()
			probe := p.take(p.a)
			require.Len(t, probe, 1)
			require.Equal(t, []uint64{uint64(c.want.Opcode), uint64(wire.PSNAdd(first, int(c.want.PSN))), uint64(c.want.Length)},
				[]uint64{uint64(probe[0].Opcode), uint64(probe[0].PSN), uint64(probe[0].Length)})
			require.True(t, probe[0].AckRequest)
			if c.want.VA != 0 {
				require.Equal(t, p.b.open.base+c.want.VA, probe[0].VA)
			}
			require.EqualValues(t, 1, p.a.statistics.Probes)
			require.Zero(t, p.a.statistics.Timeouts+p.a.statistics.Retransmitted)
			require.Equal(t, 64, p.a.req.window.size)
			p.b.Handle(&probe[0].Packet, p.now)
			p.run()
			require.False(t, p.a.Outstanding())
			require.Zero(t, p.a.statistics.Timeouts, "the NAK for it brought everything")
			require.NoError(t, p.a.Err())
		})
	}
}

// TestUnasked: the end of an unsignaled request asks for no acknowledgement, but
// nothing gets stuck behind it.
func TestUnasked(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.b.receive(1, 0, 0)
	p.post(p.a, signaled(transport.Send(1, transport.Span{})))
	p.carry() // it knows now that there is no further receive
	p.post(p.a, transport.Write(2, p.a.local.span(0, 8), p.b.open.remote(0, 8)))
	sent := p.take(p.a)
	require.Len(t, sent, 1)
	require.False(t, sent[0].AckRequest)
	p.b.Handle(&sent[0].Packet, p.now)
	require.Empty(t, p.replies())
	p.post(p.a, transport.Send(3, transport.Span{}))
	sent = p.take(p.a)
	require.Len(t, sent, 1, "without credit, and not alone: nobody was asked")
	require.True(t, sent[0].AckRequest)

	// A Read that was asked for in parts larger than the window is now.
	p = newBigPipe(t, nil)
	p.post(p.a, transport.Write(2, p.a.local.span(0, 8), p.b.open.remote(0, 8)), signaled(transport.Read(3, p.a.local.span(0, 16_000), p.b.open.remote(0, 16_000))))
	require.Len(t, p.take(p.a), 2)
	p.timeout()
	require.Equal(t, 8, p.a.req.window.size)
	require.Len(t, p.take(p.a), 2, "nobody was asked to make room")
}

// TestRoundTrip is the estimate of RFC 6298, with Karn's rule.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	var r roundTrip
	r.init(ms, 100*ms)
	require.Equal(t, ms, r.timeout())
	r.begin(1000, 5*ms)
	r.begin(1001, 6*ms) // one at a time
	r.acknowledged(1000, 7*ms)
	require.Zero(t, r.smooth, "not yet")
	r.acknowledged(1001, 7*ms)
	require.Equal(t, [2]time.Duration{2 * ms, ms}, [2]time.Duration{r.smooth, r.variation})
	require.Equal(t, 12*ms, r.timeout())
	r.begin(1002, 10*ms)
	r.forget() // it is sent again
	r.acknowledged(1003, 90*ms)
	require.Equal(t, 12*ms, r.timeout())
	r.backOff()
	r.backOff()
	require.Equal(t, 48*ms, r.timeout())
	for range 100 {
		r.backOff()
	}
	require.Equal(t, 100*ms, r.timeout())
	for i := range sequence(200) {
		r.begin(2000+i, 50*ms)
		r.acknowledged(2001+i, 50*ms+1)
	}
	require.Equal(t, ms, r.timeout(), "not below the least")
	r.init(10*ms, ms)
	require.Equal(t, ms, r.timeout(), "nor above the most")
}

// TestWindow is the arithmetic of the congestion window.
func TestWindow(t *testing.T) {
	t.Parallel()
	var w window
	w.init(1000)
	require.Equal(t, 64, w.size)
	w.acknowledged(64)
	require.Equal(t, 128, w.size, "slow start")
	w.lost(100, 200)
	require.Equal(t, 64, w.size)
	w.lost(199, 300)
	require.Equal(t, 64, w.size, "once in a window")
	w.acknowledged(21)
	require.Equal(t, 64, w.size)
	w.acknowledged(1)
	require.Equal(t, 65, w.size)
	w.acknowledged(65)
	require.Equal(t, 68, w.size, "three in a round trip")
	w.lost(200, 300)
	require.Equal(t, 34, w.size)
	for i := range sequence(10) {
		w.lost(1000+1000*i, 1500+1000*i)
	}
	require.Equal(t, 8, w.size)
	w.acknowledged(8)
	require.Equal(t, 11, w.size)
	for range 100_000 {
		w.acknowledged(10)
	}
	require.Equal(t, 1000, w.size)
	w.timedOut(50_000)
	require.Equal(t, 8, w.size)
	w.lost(49_999, 60_000)
	require.Equal(t, 8, w.size)
	w.acknowledged(100)
	require.Equal(t, 108, w.size, "slow start again")
	for range 4 {
		w.acknowledged(100)
	}
	require.Equal(t, 500, w.size, "but only up to half of what was")
	w.acknowledged(500)
	require.Equal(t, 503, w.size)
	w.init(3)
	w.timedOut(7)
	require.Equal(t, 3, w.size)
	w.init(0)
	require.Equal(t, 1, w.size)
}

// TestWindowBounds: no more packets are in flight than the window allows, and the
// one that fills it asks for an acknowledgement.
func TestWindowBounds(t *testing.T) {
	t.Parallel()
	p := newBigPipe(t, func(c *Config) { c.Window = 20 })
	p.writes(2, 30*1024)
	sent := p.take(p.a)
	require.Len(t, sent, 20)
	for i, s := range sent {
		require.Equal(t, i%5 == 4, s.AckRequest, i)
	}
	small := newBigPipe(t, func(c *Config) { c.Window = 5 })
	small.writes(1, 30*1024)
	for i, s := range small.take(small.a) {
		require.Equal(t, i == 1 || i == 3 || i == 4, s.AckRequest, i)
	}
	p.reply(19, ackUnlimited)
	require.Len(t, p.take(p.a), 20)
	p.timeout()
	require.Len(t, p.take(p.a), 8)
	p.reply(27, ackUnlimited)
	require.Len(t, p.take(p.a), 10)
}

// TestFence: a fenced request is not begun before the reads and atomics before it
// are answered; without a fence it is.
func TestFence(t *testing.T) {
	t.Parallel()
	for _, fence := range []transport.Flags{0, transport.Fence} {
		p := newPipe(t, nil)
		p.post(p.a, signaled(transport.FetchAdd(1, p.a.local.span(0, 8), p.b.open.remote(0, 8), 1)), signaled(transport.Read(2, p.a.local.span(0, 8), p.b.open.remote(0, 8))),
			signaled(transport.Write(3, p.a.local.span(0, 8), p.b.open.remote(0, 8))).With(fence), signaled(transport.Write(4, p.a.local.span(0, 8), p.b.open.remote(0, 8))))
		sent := p.take(p.a)
		if fence == 0 {
			require.Len(t, sent, 4)
			continue
		}
		require.Len(t, sent, 2)
		p.a.Handle(&wire.Packet{Opcode: wire.AtomicAcknowledge, PSN: 0xfffff0}, p.now)
		require.Empty(t, p.take(p.a))
		p.a.Handle(&wire.Packet{Opcode: wire.ReadResponseOnly, PSN: 0xfffff1, Payload: data(8)}, p.now)
		require.Len(t, p.take(p.a), 2)
	}
}

// TestReadsLimit: no more READs and atomics are outstanding than MaxReads.
func TestReadsLimit(t *testing.T) {
	t.Parallel()
	p := newPipe(t, func(c *Config) { c.MaxReads = 2 })
	for i := range 5 {
		p.post(p.a, signaled(transport.FetchAdd(uint64(i), p.a.local.span(0, 8), p.b.open.remote(0, 8), 1)))
	}
	require.Len(t, p.take(p.a), 2)
	p.timeout()
	require.Len(t, p.take(p.a), 2, "those that are outstanding are repeated")
	p.a.Handle(&wire.Packet{Opcode: wire.AtomicAcknowledge, PSN: 0xfffff0}, p.now)
	require.Len(t, p.take(p.a), 1)
	p.run()
}

// TestClosedLocally: a request whose memory is gone ends when those before it have
// ended, and nothing of it or behind it is sent.
func TestClosedLocally(t *testing.T) {
	t.Parallel()
	for _, op := range []transport.Op{transport.OpWrite, transport.OpSend, transport.OpRead, transport.OpFetchAdd} {
		for _, outstanding := range []int{0, 2} {
			p := newPipe(t, nil)
			gone := p.a.memory.add(8, transport.LocalOnly)
			p.writes(outstanding, 100)
			p.post(p.a, transport.WorkRequest{ID: 50, Op: op, Local: gone.span(0, 8), Remote: p.b.open.remote(0, 8)}, signaled(transport.Write(51, p.a.local.span(0, 8), p.b.open.remote(0, 8))))
			gone.closed = true
			require.Len(t, p.take(p.a), outstanding)
			if outstanding > 0 {
				require.NoError(t, p.a.Err())
				p.reply(0, ackUnlimited)
				require.Empty(t, p.take(p.a))
				require.NoError(t, p.a.Err())
				p.reply(1, ackUnlimited)
				require.Empty(t, p.take(p.a))
			}
			require.Error(t, p.a.Err())
			require.Len(t, p.a.failures, 1)
			require.True(t, p.a.told)
			require.Equal(t, []transport.Status{transport.StatusLocalProtection, transport.StatusFlushed}, p.a.statuses()[outstanding:])
			require.Zero(t, p.a.Deadline())
		}
	}
}

// TestClosedBeforeTheAnswer: the memory for a result may go while it is on its way.
func TestClosedBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	for _, op := range []transport.Op{transport.OpRead, transport.OpFetchAdd} {
		p := newPipe(t, nil)
		p.post(p.a, transport.WorkRequest{ID: 1, Op: op, Local: p.a.local.span(0, 8), Remote: p.b.open.remote(0, 8)}, transport.Send(2, transport.Span{}))
		p.hand(p.take(p.a)...)
		p.a.local.closed = true
		p.carry()
		require.Equal(t, []transport.Status{transport.StatusLocalProtection, transport.StatusFlushed}, p.a.statuses())
		require.Equal(t, make([]byte, 8), p.a.local.mem[:8])
	}
}

// TestInline: the payload of an inline request is what it was when it was posted,
// also when it is sent again, and whatever becomes of its region.
func TestInline(t *testing.T) {
	t.Parallel()
	p := newBigPipe(t, func(c *Config) { c.SendDepth, c.InlineBytes = 3, 300; c.MTU = 256 })
	p.lose(func(*sentPacket) bool { return len(p.log) <= 2 })
	for i := range 9 {
		p.a.local.fill(byte(i))
		p.post(p.a, signaled(transport.Write(uint64(i), p.a.local.span(5, 200), p.b.open.remote(1000*i, 300)).WithSecondSpan(p.a.local.span(900, 100))).With(transport.Inline))
		p.a.local.fill(0xcc)
		if i%3 == 2 {
			p.run()
		}
	}
	p.allOK(p.a, 9)
	for i := range 9 {
		p.a.local.fill(byte(i))
		require.Equal(t, p.a.local.mem[5:205], p.b.open.mem[1000*i:][:200])
		require.Equal(t, p.a.local.mem[900:1000], p.b.open.mem[1000*i+200:][:100])
	}
	p.post(p.a, signaled(transport.Write(9, p.a.local.span(5, 200), p.b.open.remote(0, 200))).With(transport.Inline))
	p.a.local.closed = true
	p.post(p.a, signaled(transport.Write(10, p.a.local.span(5, 200), p.b.open.remote(0, 200))).With(transport.Inline))
	p.run()
	require.Equal(t, []transport.Status{transport.StatusOK, transport.StatusLocalProtection}, p.a.statuses()[9:])

	p = newPipe(t, func(c *Config) { c.InlineBytes = 100 })
	p.post(p.a, transport.Write(1, p.a.local.span(0, 50), p.b.open.remote(0, 101)).WithSecondSpan(p.a.local.span(0, 51)).With(transport.Inline))
	p.run()
	require.Equal(t, []transport.Status{transport.StatusLocalProtection}, p.a.statuses(), "there is no room for it")
}

// TestFail: everything outstanding ends, and what is posted later; once, and with
// the right number of entries.
func TestFail(t *testing.T) {
	t.Parallel()
	why := errors.New("the cable is cut")
	p := newPipe(t, nil)
	p.b.receive(1, 0, 10_000)
	p.writes(1, 8)
	p.post(p.a, transport.Write(10, p.a.local.span(0, 8), p.b.open.remote(0, 8)), transport.Send(11, p.a.local.span(0, 5000)), transport.Read(12, p.a.local.span(0, 8), p.b.open.remote(0, 8)))
	sent := p.take(p.a)
	p.hand(sent[:4]...) // up to the middle of the Send
	p.hand(p.take(p.b)...)
	p.reply(1, ackUnlimited)
	require.Equal(t, []int{1}, p.a.entries)
	p.a.Fail(why, transport.StatusRetryExceeded)
	p.a.Fail(errors.New("another"), transport.StatusFatal)
	require.Equal(t, []transport.Status{transport.StatusOK, transport.StatusRetryExceeded, transport.StatusFlushed}, p.a.statuses())
	require.Equal(t, []int{1, 2, 1}, p.a.entries)
	require.Equal(t, why, p.a.Err())
	require.Empty(t, p.a.failures)
	require.Zero(t, p.a.Deadline())
	require.Empty(t, p.take(p.a))
	p.post(p.a, transport.Send(13, p.a.local.span(0, 1)), transport.Send(14, p.a.local.span(0, 1)))
	require.True(t, p.a.Outstanding())
	require.Empty(t, p.take(p.a))
	require.Equal(t, []transport.Status{transport.StatusFlushed, transport.StatusFlushed}, p.a.statuses()[3:])
	p.post(p.a, transport.Send(15, p.a.local.span(0, 1)))
	p.a.Expire(p.now)
	require.False(t, p.a.Outstanding())

	p.b.Fail(nil, transport.StatusFlushed) // in the middle of a message
	require.Error(t, p.b.Err())
	require.Equal(t, []transport.Completion{{ID: 1, Conn: 2, Op: transport.OpRecv, Status: transport.StatusFlushed}}, p.b.received)
	held := append([]byte(nil), p.b.inbox.mem...)
	p.hand(sent...)
	require.Empty(t, p.replies())
	require.Equal(t, held, p.b.inbox.mem)
	pending, urgent := p.b.AckDue()
	require.False(t, pending || urgent)
	p.b.ReceivesPosted(p.now)
	require.Empty(t, p.replies())
}

// TestPeerDelivered: what the peer says at its close counts like an ACK, but for
// reads and atomics.
func TestPeerDelivered(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.writes(2, 2000) // 4 packets
	p.post(p.a, signaled(transport.Read(7, p.a.local.span(0, 8), p.b.open.remote(0, 8))), signaled(transport.Write(8, p.a.local.span(0, 8), p.b.open.remote(0, 8))))
	p.take(p.a)
	psn := func(offset int) uint32 { return wire.PSNAdd(0xfffff0, offset) }
	for _, offset := range []int{-1, 7, 100, 1 << 22, -1 << 23} {
		p.a.PeerDelivered(psn(offset))
		require.Empty(t, p.a.sent)
	}
	p.a.PeerDelivered(psn(3))
	require.Len(t, p.a.sent, 1)
	p.a.PeerDelivered(psn(2))
	p.a.PeerDelivered(psn(6))
	require.Len(t, p.a.sent, 2, "up to the Read")
	require.Empty(t, p.take(p.a), "which is not repeated")
	require.NotZero(t, p.a.Deadline())
	p.a.Fail(errors.New("closed"), transport.StatusFlushed)
	p.a.PeerDelivered(psn(6))
	require.Equal(t, []transport.Status{transport.StatusOK, transport.StatusOK, transport.StatusFlushed, transport.StatusFlushed}, p.a.statuses())

	p = newPipe(t, nil)
	p.writes(1, 8)
	p.take(p.a)
	p.a.PeerDelivered(psn(1))
	p.allOK(p.a, 1)
	require.Zero(t, p.a.Deadline())
}
