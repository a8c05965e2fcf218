package rc

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// expecting is the number of the next packet that b expects from a.
func (p *pipe) expecting(offset int) uint32 { return wire.PSNAdd(p.b.Delivered(), offset) }

// give hands a packet to b, whose number is offset from what b expects.
func (p *pipe) give(offset int, s wire.Packet) {
	s.PSN = p.expecting(offset)
	p.b.Handle(&s, p.now)
}

// replies is what b has to say.
func (p *pipe) replies() (all []wire.Packet) {
	for _, s := range p.take(p.b) {
		all = append(all, s.Packet)
	}
	return all
}

// expectNAK checks that b refused, and how.
func (p *pipe) expectNAK(syndrome uint8, psn uint32, msg string) {
	p.t.Helper()
	r := p.replies()
	require.NotEmpty(p.t, r, msg)
	last := r[len(r)-1]
	require.Equal(p.t, wire.Acknowledge, last.Opcode, msg)
	require.Equal(p.t, [2]uint32{uint32(syndrome), psn}, [2]uint32{uint32(last.Syndrome), last.PSN}, msg)
}

func data(n int) [2][]byte { return [2][]byte{bytes.Repeat([]byte{0xee}, n)} }

// TestInvalidRequests: packets that make no sense where they come are refused, take
// the queue pair to the error state and leave no trace in memory.
func TestInvalidRequests(t *testing.T) {
	t.Parallel()
	const mtu = 1024
	type build func(p *pipe) wire.Packet
	plain := func(o wire.Opcode, n int) build {
		return func(*pipe) wire.Packet { return wire.Packet{Opcode: o, Payload: data(n)} }
	}
	long := func(o wire.Opcode, n, announced int) build {
		return func(p *pipe) wire.Packet {
			return wire.Packet{Opcode: o, Payload: data(n), VA: p.b.open.base, RKey: p.b.open.key, Length: uint32(announced)}
		}
	}
	sendFirst, writeFirst := plain(wire.SendFirst, mtu), long(wire.WriteFirst, mtu, 3*mtu)
	for _, c := range []struct {
		name    string
		packets []build // the last one is refused
	}{
		{"SEND MIDDLE at the beginning", []build{plain(wire.SendMiddle, mtu)}},
		{"SEND LAST at the beginning", []build{plain(wire.SendLast, 5)}},
		{"SEND LAST IMM at the beginning", []build{plain(wire.SendLastImm, 5)}},
		{"WRITE MIDDLE at the beginning", []build{plain(wire.WriteMiddle, mtu)}},
		{"WRITE LAST at the beginning", []build{plain(wire.WriteLast, 5)}},
		{"SEND FIRST within a SEND", []build{sendFirst, sendFirst}},
		{"SEND ONLY within a SEND", []build{sendFirst, plain(wire.SendOnly, 5)}},
		{"WRITE MIDDLE within a SEND", []build{sendFirst, plain(wire.WriteMiddle, mtu)}},
		{"WRITE LAST within a SEND", []build{sendFirst, plain(wire.WriteLast, 5)}},
		{"WRITE ONLY within a SEND", []build{sendFirst, long(wire.WriteOnly, 5, 5)}},
		{"READ within a SEND", []build{sendFirst, long(wire.ReadRequest, 0, 5)}},
		{"FETCH ADD within a SEND", []build{sendFirst, long(wire.FetchAdd, 0, 0)}},
		{"SEND MIDDLE within a WRITE", []build{writeFirst, plain(wire.SendMiddle, mtu)}},
		{"SEND LAST within a WRITE", []build{writeFirst, plain(wire.SendLast, 5)}},
		{"SEND ONLY within a WRITE", []build{writeFirst, plain(wire.SendOnly, 5)}},
		{"WRITE FIRST within a WRITE", []build{writeFirst, writeFirst}},
		{"COMPARE SWAP within a WRITE", []build{writeFirst, long(wire.CompareSwap, 0, 0)}},
		{"SEND FIRST, short", []build{plain(wire.SendFirst, mtu-1)}},
		{"SEND FIRST, long", []build{plain(wire.SendFirst, mtu+1)}},
		{"SEND FIRST, empty", []build{plain(wire.SendFirst, 0)}},
		{"SEND MIDDLE, short", []build{sendFirst, plain(wire.SendMiddle, mtu-1)}},
		{"SEND LAST, empty", []build{sendFirst, plain(wire.SendLast, 0)}},
		{"SEND LAST, long", []build{sendFirst, plain(wire.SendLast, mtu+1)}},
		{"SEND ONLY, long", []build{plain(wire.SendOnly, mtu+1)}},
		{"WRITE FIRST, short", []build{long(wire.WriteFirst, mtu-1, 3*mtu)}},
		{"WRITE FIRST that is all", []build{long(wire.WriteFirst, mtu, mtu)}},
		{"WRITE FIRST that is more", []build{long(wire.WriteFirst, mtu, 5)}},
		{"WRITE FIRST of nothing", []build{long(wire.WriteFirst, mtu, 0)}},
		{"WRITE MIDDLE, one too many", []build{long(wire.WriteFirst, mtu, 2*mtu), plain(wire.WriteMiddle, mtu)}},
		{"WRITE LAST too soon", []build{writeFirst, plain(wire.WriteLast, mtu)}},
		{"WRITE LAST, less than announced", []build{long(wire.WriteFirst, mtu, mtu+9), plain(wire.WriteLast, 8)}},
		{"WRITE LAST, more than announced", []build{long(wire.WriteFirst, mtu, mtu+9), plain(wire.WriteLast, 10)}},
		{"WRITE ONLY, less than announced", []build{long(wire.WriteOnly, 8, 9)}},
		{"WRITE ONLY, more than announced", []build{long(wire.WriteOnly, 10, 9)}},
		{"WRITE ONLY of nothing with payload", []build{long(wire.WriteOnly, 10, 0)}},
		{"WRITE ONLY IMM, less than announced", []build{long(wire.WriteOnlyImm, 8, 9)}},
		{"WRITE MIDDLE behind a word held back", []build{long(wire.WriteFirst, mtu, mtu+4), plain(wire.WriteMiddle, mtu)}},
		{"READ with payload", []build{long(wire.ReadRequest, 1, 5)}},
		{"READ of too much", []build{long(wire.ReadRequest, 0, MaxMessageBytes+1)}},
		{"FETCH ADD with payload", []build{long(wire.FetchAdd, 1, 0)}},
	} {
		p := newPipe(t, func(c *Config) { c.MTU = mtu })
		p.b.receive(1, 0, 10_000)
		p.b.receive(2, 0, 10_000)
		p.post(p.b, signaled(transport.Write(5, p.b.local.span(0, 1), p.a.open.remote(0, 1))), transport.Send(6, p.b.local.span(0, 1)))
		last := len(c.packets) - 1
		for _, make := range c.packets[:last] {
			p.give(0, make(p))
			require.NoError(t, p.b.Err(), c.name)
		}
		open, inbox, psn := bytes.Clone(p.b.open.mem), bytes.Clone(p.b.inbox.mem), p.expecting(0)
		p.give(0, c.packets[last](p))
		require.Error(t, p.b.Err(), c.name)
		require.True(t, bytes.Equal(open, p.b.open.mem), c.name)
		require.True(t, bytes.Equal(inbox, p.b.inbox.mem), c.name)
		p.expectNAK(wire.NAKInvalidRequest, psn, c.name)
		require.Len(t, p.b.failures, 1)
		require.False(t, p.b.told)
		require.Equal(t, []transport.Status{transport.StatusFlushed, transport.StatusFlushed}, p.b.statuses())
		require.Len(t, p.b.received, 2-len(p.b.posted), c.name)
		for _, r := range p.b.received {
			require.Equal(t, transport.StatusFlushed, r.Status)
		}
	}
}

// TestAccess: what is not granted is refused, and not touched.
func TestAccess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		access transport.Access
		change func(p *pipe, r *transport.RemoteSpan)
	}{
		{"unknown key", transport.RemoteAll, func(_ *pipe, r *transport.RemoteSpan) { r.Key += 77 }},
		{"local key of a private region", transport.RemoteAll, func(p *pipe, r *transport.RemoteSpan) { *r = p.b.local.remote(0, int(r.Len)) }},
		{"one word before", transport.RemoteAll, func(_ *pipe, r *transport.RemoteSpan) { r.Addr -= 8 }},
		{"one word behind", transport.RemoteAll, func(p *pipe, r *transport.RemoteSpan) { r.Addr += uint64(len(p.b.open.mem)) - uint64(r.Len) + 8 }},
		{"at the end of all addresses", transport.RemoteAll, func(_ *pipe, r *transport.RemoteSpan) { r.Addr = ^uint64(7) }},
		{"closed", transport.RemoteAll, func(p *pipe, _ *transport.RemoteSpan) { p.b.open.closed = true }},
		{"no right", transport.LocalOnly, func(*pipe, *transport.RemoteSpan) {}},
		{"the other rights", 0xff, func(*pipe, *transport.RemoteSpan) {}},
	} {
		for op, right := range map[transport.Op]transport.Access{
			transport.OpWrite: transport.RemoteWrite, transport.OpWriteImm: transport.RemoteWrite, transport.OpRead: transport.RemoteRead,
			transport.OpFetchAdd: transport.RemoteAtomic, transport.OpCompareSwap: transport.RemoteAtomic,
		} {
			for _, n := range []int{8, 5000} {
				p := newPipe(t, nil)
				p.b.open.access = c.access
				if c.access == 0xff {
					p.b.open.access = transport.RemoteAll &^ right
				}
				p.b.receive(1, 0, 100)
				if op == transport.OpFetchAdd || op == transport.OpCompareSwap {
					n = 8
				}
				r := p.b.open.remote(0, n)
				c.change(p, &r)
				wr := transport.WorkRequest{ID: 3, Op: op, Local: p.a.local.span(0, n), Remote: r}
				first := signaled(transport.Send(2, p.a.local.span(0, 0)))
				p.b.receive(7, 0, 100)
				p.post(p.a, first, wr, transport.Send(4, p.a.local.span(0, 1)))
				p.a.local.fill(77)
				before, local := bytes.Clone(p.b.open.mem), bytes.Clone(p.b.local.mem)
				p.run()
				require.Equal(t, []transport.Status{transport.StatusOK, transport.StatusRemoteAccess, transport.StatusFlushed}, p.a.statuses(), "%s %v", c.name, op)
				require.Len(t, p.a.failures, 1)
				require.False(t, p.a.told)
				require.ErrorContains(t, p.a.Err(), transport.StatusRemoteAccess.String())
				require.Len(t, p.b.failures, 1)
				require.False(t, p.b.told)
				require.True(t, bytes.Equal(before, p.b.open.mem))
				require.True(t, bytes.Equal(local, p.b.local.mem))
				require.Len(t, p.b.posted, 1, "the receive of the immediate was not taken")
				require.EqualValues(t, 1, p.b.statistics.RemoteAccessNAKsSent)
				require.EqualValues(t, 1, p.a.statistics.RemoteAccessNAKsReceived)
			}
		}
	}
}

// TestAtomicAlignment: both the address and the memory have to be aligned.
func TestAtomicAlignment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shift uint64 // between addresses and memory
		off   int
	}{{0, 12}, {4, 8}, {4, 12}} {
		p := newPipe(t, nil)
		p.b.open.base += c.shift
		psn := p.expecting(0)
		p.give(0, p.fetchAdd(c.off, 1))
		p.expectNAK(wire.NAKInvalidRequest, psn, "")
		require.Equal(t, make([]byte, 32), p.b.open.mem[:32])
	}
}

// TestRevokedMidway: a region that is closed between two packets of a message is
// not touched by the second, whichever end it is of.
func TestRevokedMidway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op   transport.Op
		own  bool // the region is the requester's
		want transport.Status
	}{
		{transport.OpWrite, false, transport.StatusRemoteAccess},
		{transport.OpRead, false, transport.StatusRemoteAccess},
		{transport.OpSend, false, transport.StatusRemoteOperation},
		{transport.OpWrite, true, transport.StatusLocalProtection},
		{transport.OpRead, true, transport.StatusLocalProtection},
		{transport.OpSend, true, transport.StatusLocalProtection},
	} {
		for after := range 6 {
			p := newPipe(t, nil)
			p.a.local.fill(5)
			p.b.open.fill(6)
			p.b.receive(1, 0, 7000)
			region := p.b.open
			switch {
			case c.own:
				region = p.a.local
			case c.op == transport.OpSend:
				region = p.b.inbox
			}
			p.post(p.a, transport.WorkRequest{ID: 3, Op: c.op, Local: p.a.local.span(0, 7000), Remote: p.b.open.remote(0, 7000)},
				transport.Write(4, p.a.local.span(0, 8), p.b.open.remote(8000, 8)))
			from := p.a
			if c.op == transport.OpRead {
				p.hand(p.take(p.a)...)
				from = p.b
			}
			for range after {
				p.hand(p.next(from))
			}
			region.closed = true
			at := bytes.Clone(region.mem)
			p.run()
			require.Equal(t, []transport.Status{c.want, transport.StatusFlushed}, p.a.statuses(), "%v after %d", c.op, after)
			require.True(t, bytes.Equal(at, region.mem))
			require.Len(t, p.a.failures, 1)
			require.Equal(t, c.own, p.a.told, "the peer does not know")
			require.Equal(t, c.own, p.b.Err() == nil)
			require.False(t, p.b.told)
			if region == p.b.inbox {
				require.Equal(t, transport.StatusLocalProtection, p.b.received[0].Status)
				require.True(t, p.b.woken[0])
			}
		}
	}
}

// TestTooLongForReceive: a Send that is longer than the receive fails at both ends
// and stores nothing behind the receive.
func TestTooLongForReceive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ first, second, bytes int }{{0, 0, 1}, {64, 0, 65}, {10, 20, 31}, {1024, 0, 1025}, {1500, 600, 2101}, {0, 100, 5000}} {
		p := newPipe(t, nil)
		p.a.local.fill(5)
		p.b.posted = append(p.b.posted, transport.Recv(1, p.b.inbox.span(0, c.first)).WithSecondSpan(p.b.inbox.span(5000, c.second)))
		p.b.receive(2, 0, 100)
		p.post(p.a, transport.Send(3, p.a.local.span(0, c.bytes)), signaled(transport.Send(4, p.a.local.span(0, 1))))
		p.run()
		require.Equal(t, []transport.Status{transport.StatusRemoteInvalidRequest, transport.StatusFlushed}, p.a.statuses())
		require.Equal(t, []transport.Completion{{ID: 1, Conn: 2, Op: transport.OpRecv, Status: transport.StatusLocalLength}}, p.b.received)
		require.Equal(t, make([]byte, 5000-c.first), p.b.inbox.mem[c.first:5000])
		require.Equal(t, make([]byte, 1000), p.b.inbox.mem[5000+c.second:][:1000])
		require.Len(t, p.b.posted, 1, "the program's")
	}
}

// TestReceiveClosed: it does not matter which of a receive's regions was closed, or
// whether the message needs it.
func TestReceiveClosed(t *testing.T) {
	t.Parallel()
	for _, which := range []int{0, 1} {
		p := newPipe(t, nil)
		other := p.b.memory.add(100, transport.LocalOnly)
		p.b.posted = append(p.b.posted, transport.Recv(1, p.b.inbox.span(0, 50)).WithSecondSpan(other.span(0, 50)))
		[]*testRegion{p.b.inbox, other}[which].closed = true
		p.post(p.a, transport.Send(3, p.a.local.span(0, 10)))
		p.run()
		require.Equal(t, []transport.Status{transport.StatusRemoteOperation}, p.a.statuses())
		require.Equal(t, transport.StatusLocalProtection, p.b.received[0].Status)
		require.Equal(t, make([]byte, 50), p.b.inbox.mem[:50])
	}
}

// TestRefusalIsRepeated: the peer learns of the NAK, however often it is lost, and
// of the answers before it; but nothing is carried out any more.
func TestRefusalIsRepeated(t *testing.T) {
	t.Parallel()
	for _, drop := range []int{1, 2, 3} {
		p := newPipe(t, func(c *Config) { c.Window = 8 })
		p.b.receive(1, 0, 100)
		binary.NativeEndian.PutUint64(p.b.open.mem[0:], 40)
		bad := p.b.open.remote(0, 100)
		bad.Key = 999
		lost := 0
		p.lose(func(s *sentPacket) bool {
			if s.from == p.b {
				lost++
			}
			return s.from == p.b && lost <= drop*3
		})
		p.post(p.a,
			signaled(transport.Write(1, p.a.local.span(0, 6000), p.b.open.remote(64, 6000))),
			signaled(transport.FetchAdd(2, p.a.local.span(0, 8), p.b.open.remote(0, 8), 2)),
			signaled(transport.Write(3, p.a.local.span(0, 100), bad)),
			signaled(transport.FetchAdd(4, p.a.local.span(8, 8), p.b.open.remote(0, 8), 2)),
		)
		p.run()
		require.Equal(t, []transport.Status{transport.StatusOK, transport.StatusOK, transport.StatusRemoteAccess, transport.StatusFlushed}, p.a.statuses())
		require.EqualValues(t, 40, p.a.local.uint64(0))
		require.EqualValues(t, 42, p.b.open.uint64(0))
		require.Len(t, p.b.failures, 1)

		// Neither what comes behind, nor what is no request, nor what was never known.
		for _, s := range []wire.Packet{
			{Opcode: wire.SendOnly, PSN: p.expecting(1)}, {Opcode: wire.Acknowledge, PSN: p.expecting(0)}, {Opcode: wire.UDSendOnly, PSN: p.expecting(0)},
			{Opcode: wire.ReadRequest, PSN: p.expecting(-2)}, {Opcode: wire.FetchAdd, PSN: p.expecting(-3)},
		} {
			p.b.Handle(&s, p.now)
			require.Empty(t, p.replies(), "%v", s.Opcode)
		}
		p.give(0, wire.Packet{Opcode: wire.SendOnly})
		p.expectNAK(wire.NAKRemoteAccess, p.expecting(0), "again")
		require.Len(t, p.b.posted, 1)
	}
}

// TestReadRefusedMidway: when the region of a Read is closed while it is answered,
// and responses before the NAK, or the NAK, are lost, the Read fails all the same
// with the right status.
func TestReadRefusedMidway(t *testing.T) {
	t.Parallel()
	for lost := range 8 {
		p := newBigPipe(t, nil)
		p.post(p.a, transport.Read(1, p.a.local.span(0, 8000), p.b.open.remote(0, 8000)), transport.Read(2, p.a.local.span(0, 8000), p.b.open.remote(9000, 8000)))
		p.hand(p.take(p.a)...)
		for i := range 5 {
			if s := p.next(p.b); i != lost {
				p.hand(s)
			}
		}
		p.b.open.closed = true
		p.lose(func(*sentPacket) bool { return len(p.log) == lost-4 })
		p.run()
		require.Equal(t, []transport.Status{transport.StatusRemoteAccess, transport.StatusFlushed}, p.a.statuses(), "lost %d", lost)
		require.Len(t, p.b.failures, 1)
	}
}
