package rc

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// This file is about receives: turning senders away, and credits.

func isRNR(s *sentPacket) bool {
	return s.Opcode == wire.Acknowledge && s.Syndrome&wire.SyndromeKind == wire.SyndromeRNR
}

// TestTurnedAway: a message without a receive changes nothing, however many packets
// it has; what follows it waits, too; it is tried again when its time has come, and
// alone.
func TestTurnedAway(t *testing.T) {
	t.Parallel()
	for _, op := range []transport.Op{transport.OpSend, transport.OpWriteImm} {
		for _, n := range []int{0, 8, 1024, 5000} {
			p := newBigPipe(t, nil)
			p.a.local.fill(7)
			to := p.b.inbox
			wr := signaled(transport.WorkRequest{ID: 1, Op: op, Local: p.a.local.span(0, n), Imm: 5})
			if op == transport.OpWriteImm {
				to, wr.Remote = p.b.open, p.b.open.remote(0, n)
			}
			p.post(p.a, wr, signaled(transport.Write(2, p.a.local.span(0, 100), p.b.open.remote(9000, 100))))
			p.carry()
			require.EqualValues(t, 1, p.b.statistics.RNRNAKsSent)
			require.Zero(t, p.b.statistics.SequenceNAKsSent, "what follows is not missing")
			require.Empty(t, p.a.sent)
			require.Equal(t, make([]byte, 100), p.b.open.mem[9000:9100])
			if op == transport.OpWriteImm && n == 5000 { // all but the packet with the immediate
				require.Equal(t, p.a.local.mem[:4096], to.mem[:4096])
				require.Equal(t, make([]byte, 904), to.mem[4096:5000])
			} else {
				require.Equal(t, make([]byte, n), to.mem[:n])
			}
			asked := p.a.Deadline()
			require.LessOrEqual(t, asked-p.now, 640*time.Microsecond)
			require.Greater(t, asked-p.now, 600*time.Microsecond)

			sent := len(p.log)
			p.now = asked - 1
			p.a.Expire(p.now) // too early
			require.False(t, p.carry())
			p.now = asked
			p.a.Expire(p.now)
			p.carry()
			require.Len(t, p.log, sent+2, "it was sent alone, and turned away again")
			require.EqualValues(t, 2, p.a.statistics.RNRNAKsReceived)

			p.b.receive(10, 0, 6000)
			p.b.ReceivesPosted(p.now)
			p.run()
			p.allOK(p.a, 2)
			require.Len(t, p.b.received, 1)
			require.True(t, bytes.Equal(p.a.local.mem[:n], to.mem[:n]))
			require.Less(t, p.now, asked+100*time.Microsecond, "the wait ended early")
			require.Zero(t, p.a.statistics.Timeouts)
			require.EqualValues(t, 2, p.b.statistics.RNRNAKsSent)
		}
	}
}

// TestTurnedAwayForGood: RNRRetries in a row, and no more.
func TestTurnedAwayForGood(t *testing.T) {
	t.Parallel()
	for _, retries := range []int{0, 1, 6, 7} {
		p := newPipe(t, func(c *Config) { c.RNRRetries, c.RNRTimer, c.Retries = retries, 1, 0 })
		p.post(p.a, transport.Send(1, p.a.local.span(0, 1)), transport.Send(2, p.a.local.span(0, 1)))
		for i := range 30 {
			p.carry()
			if retries != RNRForEver && i >= retries {
				break
			}
			require.NoError(t, p.a.Err())
			p.expire()
		}
		if retries == RNRForEver {
			require.NoError(t, p.a.Err())
			continue
		}
		require.Equal(t, []transport.Status{transport.StatusRNRRetryExceeded, transport.StatusFlushed}, p.a.statuses())
		require.EqualValues(t, retries+1, p.b.statistics.RNRNAKsSent)
		require.GreaterOrEqual(t, p.now-time.Second, time.Duration(retries)*wire.RNRTimer(1), "each time it has waited as long as it was told to")
		require.Zero(t, p.a.statistics.Timeouts)
		require.True(t, p.a.told)
		require.NoError(t, p.b.Err())
	}
}

// TestTurnedAwayAgain: a message that was received makes up for the times that it,
// or those before it, had been turned away.
func TestTurnedAwayAgain(t *testing.T) {
	t.Parallel()
	p := newPipe(t, func(c *Config) { c.RNRRetries = 2 })
	for i := range 6 {
		p.post(p.a, signaled(transport.Send(uint64(i), transport.Span{})))
		for range 2 {
			p.carry()
			p.expire()
		}
		p.b.receive(1, 0, 0)
		p.run()
	}
	p.allOK(p.a, 6)
	require.EqualValues(t, 6*2, p.a.statistics.RNRNAKsReceived)
}

// TestLostOrDoubledRNR: the copy of an RNR NAK is not another one, and a lost one
// costs a timeout.
func TestLostOrDoubledRNR(t *testing.T) {
	t.Parallel()
	for copies := range 4 {
		p := newPipe(t, func(c *Config) { c.RNRRetries = 1 })
		first := true
		p.pass = func(s *sentPacket) int {
			if isRNR(s) && first {
				first = false
				return copies
			}
			return 1
		}
		p.post(p.a, signaled(transport.Send(1, p.a.local.span(0, 1))))
		p.carry()
		if copies == 0 {
			require.Equal(t, p.a.Deadline(), time.Second+testWait)
		}
		p.expire()
		p.b.receive(10, 0, 10) // nobody tells the queue pair
		p.run()
		p.allOK(p.a, 1)
	}
}

// TestSharedReceives: with receives that others take, too, an ACK that comes after
// the RNR NAK, but knows of no new receive, does not end the wait.
func TestSharedReceives(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.b.shared = true
	p.b.receive(10, 0, 10)
	p.post(p.a, signaled(transport.Send(1, p.a.local.span(0, 1))))
	p.carry()
	p.allOK(p.a, 1)
	require.EqualValues(t, wire.CreditsUnlimited, p.log[1].Syndrome)
	old := p.log[0]

	p.post(p.a, signaled(transport.Send(2, p.a.local.span(0, 1))))
	p.carry()
	wait := p.a.Deadline()
	p.b.Handle(&old.Packet, p.now) // a stale copy, which is acknowledged again
	require.True(t, p.carry())
	require.Equal(t, wait, p.a.Deadline())
	p.b.ReceivesPosted(p.now) // somebody else was quicker: all that is known is that there may be one
	p.carry()
	require.NotEqual(t, wait, p.a.Deadline(), "it has tried again")
	p.b.receive(11, 0, 10)
	p.b.ReceivesPosted(p.now)
	p.run()
	p.allOK(p.a, 2)
}

// TestTurnedAwayBehindResponses: the ACK that tells of a new receive has the number
// of something long ago, when a READ and an atomic were before the Send.
func TestTurnedAwayBehindResponses(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		p := newPipe(t, nil)
		p.b.shared = shared
		p.post(p.a, signaled(transport.Write(1, p.a.local.span(0, 8), p.b.open.remote(0, 8))),
			signaled(transport.Read(2, p.a.local.span(0, 3000), p.b.open.remote(0, 3000))),
			signaled(transport.FetchAdd(3, p.a.local.span(0, 8), p.b.open.remote(0, 8), 1)))
		p.run()
		p.allOK(p.a, 3)
		p.post(p.a, signaled(transport.Send(4, p.a.local.span(0, 1))))
		for range 3 {
			p.carry()
		}
		require.EqualValues(t, 1, p.b.statistics.RNRNAKsSent)
		start := p.now
		p.b.receive(10, 0, 10)
		p.b.ReceivesPosted(p.now)
		p.run()
		p.allOK(p.a, 4)
		require.Less(t, p.now-start, 100*time.Microsecond, "the wait ended early")
		require.EqualValues(t, 1, p.b.statistics.RNRNAKsSent)
	}
}

// TestReceivesPostedSaysNothing: to a peer that was not turned away.
func TestReceivesPostedSaysNothing(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.b.receive(1, 0, 1)
	p.b.ReceivesPosted(p.now)
	require.False(t, p.carry())
	p.post(p.a, signaled(transport.Send(1, p.a.local.span(0, 1))), signaled(transport.Send(2, p.a.local.span(0, 1))))
	p.carry()
	p.b.ReceivesPosted(p.now) // there is none
	require.False(t, p.carry())
}

// TestCredits: once the peer has said how many receives it has, requests beyond
// these are sent one at a time; others are not held up, nor those without receive.
func TestCredits(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	for i := range 4 {
		p.b.receive(uint64(10+i), 0, 5000)
	}
	p.post(p.a, signaled(transport.Send(1, p.a.local.span(0, 1))))
	p.carry() // and now it knows that there are three more
	require.EqualValues(t, 3, p.log[1].Syndrome)
	for i := range 6 {
		p.post(p.a, signaled(transport.Write(uint64(100+i), p.a.local.span(0, 1), p.b.open.remote(0, 1))),
			signaled(transport.Send(uint64(200+i), p.a.local.span(0, 3000))))
	}
	burst := p.take(p.a)
	sends := 0
	for _, s := range burst {
		if s.Opcode == wire.SendFirst {
			sends++
		}
	}
	require.Equal(t, 1, sends, "each message counts, also those that take no receive, until they are acknowledged")
	p.hand(burst...)
	p.carry()
	require.EqualValues(t, 1, p.b.statistics.RNRNAKsSent, "the fifth Send has tried it")
	require.Zero(t, p.b.statistics.OutOfOrder, "alone")
	require.EqualValues(t, 4, len(p.b.received))
	p.b.receive(20, 0, 5000)
	p.b.receive(21, 0, 5000)
	p.b.receive(22, 0, 5000)
	p.b.ReceivesPosted(p.now)
	p.run()
	p.allOK(p.a, 13)
	require.EqualValues(t, 1, p.b.statistics.RNRNAKsSent)
}

// TestCreditForImmediate: a WriteImm may be sent up to the packet that takes the
// receive; that one waits until it is alone, and nothing gets stuck before it.
func TestCreditForImmediate(t *testing.T) {
	t.Parallel()
	for _, n := range []int{100, 1500, 2500, 20_000} {
		p := newBigPipe(t, nil)
		p.b.receive(1, 0, 10)
		p.post(p.a, signaled(transport.Send(1, p.a.local.span(0, 1))))
		p.carry()
		require.EqualValues(t, 0, p.log[1].Syndrome)
		p.b.receive(2, 0, 0)
		p.post(p.a, signaled(transport.WriteImm(2, p.a.local.span(0, n), p.b.open.remote(0, n), 3)))
		p.carry()
		p.allOK(p.a, 2)
		require.Zero(t, p.a.statistics.Timeouts+p.b.statistics.RNRNAKsSent)
	}
}

// TestLimitFoundMidway: the limit becomes known while a WriteImm is being sent.
func TestLimitFoundMidway(t *testing.T) {
	t.Parallel()
	for k := range 11 {
		p := newPipe(t, nil)
		p.b.receive(1, 0, 10)
		p.b.receive(2, 0, 10)
		p.post(p.a, signaled(transport.Send(1, p.a.local.span(0, 1))), signaled(transport.WriteImm(2, p.a.local.span(0, 10_000), p.b.open.remote(0, 10_000), 3)))
		p.hand(p.next(p.a))
		ack := p.next(p.b)
		for range k {
			p.hand(p.next(p.a))
		}
		ack.Syndrome = 0 // it has one, but does not say so
		p.hand(ack)
		p.carry()
		p.allOK(p.a, 2)
		require.Zero(t, p.a.statistics.Timeouts)
	}
}

// TestSendBeyondCredits: the first packet goes alone, and when it has been taken,
// all others may follow.
func TestSendBeyondCredits(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.b.receive(1, 0, 10)
	p.post(p.a, signaled(transport.Send(1, p.a.local.span(0, 1))))
	p.carry()
	p.b.receive(2, 0, 5000)
	p.post(p.a, signaled(transport.Send(2, p.a.local.span(0, 5000))), signaled(transport.Write(3, p.a.local.span(0, 8), p.b.open.remote(0, 8))))
	first := p.take(p.a)
	require.Len(t, first, 1)
	require.True(t, first[0].AckRequest)
	p.b.Handle(&first[0].Packet, p.now)
	for _, s := range p.take(p.b) {
		require.Zero(t, s.Syndrome)
		p.a.Handle(&s.Packet, p.now)
	}
	rest := p.take(p.a)
	require.Len(t, rest, 5)
	p.hand(rest...)
	p.run()
	p.allOK(p.a, 3)
}

// TestProgressEndsTheWait: if the message that was turned away is acknowledged all
// the same, as a copy of it may have come when there was a receive.
func TestProgressEndsTheWait(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.writes(2, 8)
	p.take(p.a)
	p.reply(0, wire.SyndromeRNR|31)
	require.Empty(t, p.take(p.a))
	p.reply(0, wire.SyndromeACK)
	require.Len(t, p.take(p.a), 1)
	p.reply(1, wire.SyndromeACK)
	p.allOK(p.a, 2)
	require.Zero(t, p.a.Deadline())
}

// TestReceiveComesBeforeTheNAK: when receives are posted before the RNR NAK was
// sent, credits follow it.
func TestReceiveComesBeforeTheNAK(t *testing.T) {
	t.Parallel()
	p := newPipe(t, nil)
	p.give(0, wire.Packet{Opcode: wire.SendOnly, AckRequest: true})
	p.b.receive(1, 0, 0)
	p.b.ReceivesPosted(p.now)
	r := p.replies()
	require.Len(t, r, 2)
	require.Equal(t, []uint8{wire.SyndromeRNR | 12, 1}, []uint8{r[0].Syndrome, r[1].Syndrome})
	require.Equal(t, []uint32{p.expecting(0), p.expecting(-1)}, []uint32{r[0].PSN, r[1].PSN})
	// What follows the message is not missing.
	p.give(1, p.write8(0, true))
	require.Empty(t, p.replies())
}

// TestMessageNumbersWrap: message numbers, which have 24 bits on the wire, wrap, with
// credits that are always short.
func TestMessageNumbersWrap(t *testing.T) {
	t.Parallel()
	const messages, receives = 2000, 40
	start := firstSequence(0) + 1<<24 - messages/2
	p := newPipe(t, nil)
	p.a.req.message, p.a.req.credits.seen, p.b.resp.msn = start, start, start.onWire()
	for sent, turn := 0, 0; len(p.a.sent) < messages; turn++ {
		for ; sent < min(messages, len(p.a.sent)+64); sent++ {
			p.post(p.a, signaled(transport.Send(0, transport.Span{})))
		}
		if len(p.b.posted) == 0 {
			for range receives {
				p.b.receive(0, 0, 0)
			}
			p.b.ReceivesPosted(p.now)
		}
		p.carry()
		require.LessOrEqual(t, turn, messages/receives, "credits are of use")
	}
	p.allOK(p.a, messages)
	require.Len(t, p.b.received, messages)
	require.EqualValues(t, messages, p.a.statistics.DataSent)
	// One message is tried beyond the credits each time, and then waits.
	require.LessOrEqual(t, p.b.statistics.RNRNAKsSent, uint64(messages/receives+1))
}

// TestCreditLimit is the arithmetic of credits.
func TestCreditLimit(t *testing.T) {
	t.Parallel()
	var c credits
	c.init()
	base := firstSequence(0)
	ack := func(msn uint32, code uint8, newest bool) {
		c.learn(&wire.Packet{MSN: msn & wire.PSNMask, Syndrome: code}, base+100, newest)
	}
	require.True(t, c.covers(base+1<<23), "before the first ACK")
	ack(3, 2, true)
	require.True(t, c.covers(base+5))
	require.False(t, c.covers(base+6))
	ack(4, 0, true)
	require.True(t, c.covers(base+5), "what was granted holds on")
	require.False(t, c.covers(base+6))
	ack(2, 3, false)
	require.False(t, c.covers(base+6))
	ack(2, 4, false)
	require.True(t, c.covers(base+6), "an old ACK that grants more")
	ack(101, 4, true)
	require.False(t, c.covers(base+7), "of a message that was not sent")
	ack(5, wire.CreditsUnlimited, false)
	require.False(t, c.covers(base+7), "an old ACK says nothing about there being a limit")
	ack(5, wire.CreditsUnlimited, true)
	require.True(t, c.covers(base+7))
	ack(5, 1, false)
	require.True(t, c.covers(base+7))
	ack(5, 1, true)
	require.False(t, c.covers(base+7))
	ack(0xffffff, 5, true)
	require.False(t, c.covers(base+7), "that is before the first message")
	c.turnedAway(base + 3)
	require.False(t, c.covers(base+3))
	require.True(t, c.covers(base+2))
}
