package rc

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// script is a fixed sequence of requests of all kinds, both ways, with what must
// come out of it whatever happens on the way.
type script struct {
	*pipe
	counter uint64
}

func newScript(t testing.TB) *script {
	s := &script{pipe: newPipe(t, func(c *Config) {
		c.MTU, c.Window, c.MaxReads, c.Resources = 256, 16, 3, 3
	})}
	for i, e := range []*testEnd{s.a, s.b} {
		e.local.fill(byte(10 + i))
		e.open.fill(byte(100 + i))
	}
	s.counter = s.b.open.uint64(4096)
	return s
}

func (s *script) play() {
	a, b := s.a, s.b
	for i := range 4 {
		b.receive(uint64(100+i), 2048*i, 1000)
	}
	a.receive(200, 0, 400)
	s.post(a,
		signaled(transport.FetchAdd(0, a.local.span(0, 8), b.open.remote(4096, 8), 5)),
		signaled(transport.Write(1, a.local.span(1000, 1100), b.open.remote(0, 1100))),
		signaled(transport.Send(2, a.local.span(2500, 300)).WithSecondSpan(a.local.span(2900, 400))),
		signaled(transport.Read(3, a.local.span(5000, 1500), b.open.remote(6000, 1500))),
		transport.FetchAdd(4, a.local.span(8, 8), b.open.remote(4096, 8), 7), // unsignaled
		signaled(transport.WriteImm(5, a.local.span(3300, 600), b.open.remote(2000, 600), 0xabcd)).With(transport.Solicited),
		signaled(transport.CompareSwap(6, a.local.span(16, 8), b.open.remote(4096, 8), s.counter+12, 77)).With(transport.Fence),
		signaled(transport.Send(7, a.local.span(0, 0))),
		signaled(transport.Read(8, a.local.span(7000, 100), b.open.remote(8000, 100))),
		signaled(transport.FetchAdd(9, a.local.span(24, 8), b.open.remote(4096, 8), 1)),
		signaled(transport.WriteImm(10, a.local.span(0, 0), transport.RemoteSpan{}, 1)),
	)
	s.post(b,
		signaled(transport.Write(20, b.local.span(0, 700), a.open.remote(0, 700))),
		signaled(transport.Send(21, b.local.span(700, 400))),
		signaled(transport.Read(22, b.local.span(4000, 520), a.open.remote(3000, 520))),
	)
	s.run()
}

// check compares everything with what the script must have come to.
func (s *script) check() {
	s.t.Helper()
	t, a, b := s.t, s.a, s.b
	require.Empty(t, a.failures)
	require.Empty(t, b.failures)
	var ids []uint64
	for _, c := range a.sent {
		require.Equal(t, transport.StatusOK, c.Status)
		require.EqualValues(t, 1, c.Conn)
		ids = append(ids, c.ID)
	}
	require.Equal(t, []uint64{0, 1, 2, 3, 5, 6, 7, 8, 9, 10}, ids, "each ends once, in order")
	require.Equal(t, []int{1, 1, 1, 1, 2, 1, 1, 1, 1, 1}, a.entries)
	require.Len(t, b.sent, 3)

	la, ob := new(testMemory).add(1<<14, 0).fill(10), new(testMemory).add(1<<14, 0).fill(101) // what there was
	require.Equal(t, la.mem[1000:2100], b.open.mem[0:1100])
	require.Equal(t, la.mem[3300:3900], b.open.mem[2000:2600])
	require.Equal(t, ob.mem[6000:7500], a.local.mem[5000:6500])
	require.Equal(t, ob.mem[8000:8100], a.local.mem[7000:7100])
	require.Equal(t, ob.mem[2600:4096], b.open.mem[2600:4096], "what nobody wrote")
	require.Equal(t, s.counter, a.local.uint64(0))
	require.Equal(t, s.counter+5, a.local.uint64(8))
	require.Equal(t, s.counter+12, a.local.uint64(16))
	require.EqualValues(t, 77, a.local.uint64(24))
	require.EqualValues(t, 78, b.open.uint64(4096), "each atomic was carried out once")

	require.Equal(t, []transport.Completion{
		{ID: 100, Conn: 2, Op: transport.OpRecv, Bytes: 700},
		{ID: 101, Conn: 2, Op: transport.OpRecvImm, Bytes: 600, Imm: 0xabcd, HasImm: true},
		{ID: 102, Conn: 2, Op: transport.OpRecv},
		{ID: 103, Conn: 2, Op: transport.OpRecvImm, Imm: 1, HasImm: true},
	}, b.received)
	require.Equal(t, []bool{false, true, false, false}, b.woken)
	require.True(t, bytes.Equal(slices.Concat(la.mem[2500:2800], la.mem[2900:3300]), b.inbox.mem[:700]))
	require.Equal(t, []transport.Completion{{ID: 200, Conn: 1, Op: transport.OpRecv, Bytes: 400}}, a.received)
	require.Equal(t, b.local.mem[:700], a.open.mem[:700])
	require.Equal(t, b.local.mem[700:1100], a.inbox.mem[:400])
	require.Equal(t, a.open.mem[3000:3520], b.local.mem[4000:4520])
	require.False(t, a.Outstanding())
	require.False(t, b.Outstanding())
}

// TestEveryFault plays the script once for each fault of a kind: each packet of
// it lost, or doubled, or late, each pair of packets lost.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	clean := newScript(t)
	clean.play()
	clean.check()
	require.Zero(t, clean.a.statistics.Retransmitted+clean.b.statistics.Retransmitted)
	n := len(clean.log)
	lost := func(which ...int) func(*script) {
		return func(s *script) {
			s.lose(func(*sentPacket) bool { return slices.Contains(which, len(s.log)-1) })
		}
	}
	// when has f called before packet i arrives.
	when := func(i int, f func(*script, *sentPacket)) func(*script) {
		return func(s *script) {
			s.pass = func(p *sentPacket) int {
				if len(s.log)-1 == i {
					f(s, p)
				}
				return 1
			}
		}
	}
	// late holds a packet back until so many others have passed.
	late := func(which, passed int, also bool) func(*script) {
		return func(s *script) {
			var held *sentPacket
			s.pass = func(p *sentPacket) int {
				switch at := len(s.log) - 1; {
				case at == which:
					held = p
					if also {
						return 1
					}
					return 0
				case held != nil && at >= which+passed:
					s.hand(held)
					held = nil
				}
				return 1
			}
		}
	}
	try := func(what string, change func(*script)) {
		s := newScript(t)
		change(s)
		defer func() {
			if t.Failed() || recover() != nil {
				for i := range s.log {
					t.Log(i, &s.log[i])
				}
				t.Fatal(what)
			}
		}()
		s.play()
		s.check()
	}
	for i := range n {
		try(fmt.Sprintf("lost %d", i), lost(i))
		for j := range i {
			try(fmt.Sprintf("lost %d and %d", j, i), lost(j, i))
		}
		try(fmt.Sprintf("lost %d to %d", i, i+5), lost(i, i+1, i+2, i+3, i+4))
		for _, passed := range []int{1, 2, 3, 7, 20, 40} {
			try(fmt.Sprintf("%d late by %d", i, passed), late(i, passed, false))
			try(fmt.Sprintf("%d twice, %d apart", i, passed), late(i, passed, true))
		}
		try(fmt.Sprintf("%d twice at once", i), when(i, func(s *script, p *sentPacket) { s.hand(p) }))
		try(fmt.Sprintf("stale copies after %d", i), when(i, func(s *script, _ *sentPacket) {
			for k := range i { // everything that was sent before
				s.hand(&s.log[k])
			}
		}))
	}
}

// TestOldPackets hands the packets of the script in again, all of them, in any order,
// when it is over: nothing happens. Then it goes on.
func TestOldPackets(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.play()
	n := len(s.log)
	random := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		for _, i := range random.Perm(n) {
			s.hand(&s.log[i])
			if random.IntN(10) == 0 {
				s.run()
			}
		}
	}
	s.run()
	s.check()
	c := &s.b.statistics
	for _, n := range []uint64{c.Duplicates, c.ReplayedAtomics, c.ReplayedReads, s.a.statistics.StaleAcks} {
		require.NotZero(t, n)
	}
	s.post(s.a, signaled(transport.Write(11, s.a.local.span(0, 8), s.b.open.remote(0, 8))))
	s.run()
	require.Len(t, s.a.sent, 11)
	require.NoError(t, s.a.Err())
}

// TestOnTheWire looks at the packets that requests are cut into.
func TestOnTheWire(t *testing.T) {
	t.Parallel()
	const F, M, L, O = wire.WriteFirst, wire.WriteMiddle, wire.WriteLast, wire.WriteOnly

	for _, mtu := range []int{256, 512, 1024, 2048, 4096} {
		for _, c := range []struct {
			bytes int
			want  []wire.Opcode
		}{
			{0, []wire.Opcode{O}},
			{1, []wire.Opcode{O}},
			{mtu - 1, []wire.Opcode{O}},
			{mtu, []wire.Opcode{O}},
			{mtu + 1, []wire.Opcode{F, L}},
			{2 * mtu, []wire.Opcode{F, L}},
			{2*mtu + 1, []wire.Opcode{F, M, L}},
			{5 * mtu, []wire.Opcode{F, M, M, M, L}},
		} {
			for _, op := range []transport.Op{transport.OpWrite, transport.OpSend, transport.OpWriteImm} {
				p := newBigPipe(t, func(c *Config) { c.MTU = mtu })
				p.a.local.fill(3)
				p.b.receive(9, 5, 5*mtu)
				wr := transport.WorkRequest{ID: 1, Op: op, Local: p.a.local.span(7, c.bytes/3), Imm: 0xfeed}.With(transport.Signaled | transport.Solicited)
				wr = wr.WithSecondSpan(p.a.local.span(20000, c.bytes-c.bytes/3))
				to, want := p.b.inbox, slices.Clone(c.want)
				if op == transport.OpSend {
					for i := range want {
						want[i] -= wire.WriteFirst - wire.SendFirst
					}
				} else {
					to, wr.Remote = p.b.open, p.b.open.remote(5, c.bytes)
				}
				if op == transport.OpWriteImm {
					want[len(want)-1]++
				}
				p.post(p.a, wr)
				p.run()
				p.allOK(p.a, 1)
				require.Equal(t, want, p.opcodes(p.a))
				require.True(t, bytes.Equal(slices.Concat(p.a.local.mem[7:7+c.bytes/3], p.a.local.mem[20000:20000+c.bytes-c.bytes/3]), to.mem[5:5+c.bytes]))
				require.Equal(t, make([]byte, 100), to.mem[5+c.bytes:][:100])
				require.Equal(t, make([]byte, 5), to.mem[:5])
				for i := range p.log[:len(want)] {
					s, last := &p.log[i], i == len(want)-1
					require.EqualValues(t, wire.PSNAdd(0xfffff0, i), s.PSN)
					require.EqualValues(t, 0x101, s.DestQP)
					require.EqualValues(t, wire.DefaultPKey, s.PKey)
					require.Equal(t, last, s.AckRequest)
					require.Equal(t, last, s.Solicited)
					require.Equal(t, last && op == transport.OpWriteImm, s.Imm == 0xfeed)
					if s.Opcode.HasRETH() {
						require.Equal(t, [2]uint64{wr.Remote.Addr, uint64(c.bytes)}, [2]uint64{s.VA, uint64(s.Length)})
						require.EqualValues(t, wr.Remote.Key, s.RKey)
					} else {
						require.Zero(t, s.VA|uint64(s.RKey)|uint64(s.Length))
					}
				}
				require.Equal(t, []wire.Opcode{wire.Acknowledge}, p.opcodes(p.b))
			}
		}
	}

}

// TestReadParts: a long Read is asked for in parts, each of them a part of the
// window, of which no more than MaxReads are outstanding.
func TestReadParts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ window, maxReads, bytes, part int }{
		{64, 16, 100_000, 16}, {64, 1, 100_000, 16}, {16, 3, 50_001, 8}, {8, 16, 9999, 4}, {1, 1, 3000, 1}, {64, 2, 0, 1}, {64, 2, 256, 1}, {64, 2, 257, 2},
	} {
		p := newBigPipe(t, func(cfg *Config) {
			cfg.MTU, cfg.Window, cfg.MaxReads, cfg.Resources = 256, c.window, c.maxReads, c.maxReads
		})
		p.b.open.fill(9)
		wr := signaled(transport.Read(1, p.a.local.span(3, c.bytes/2), p.b.open.remote(11, c.bytes)).WithSecondSpan(p.a.local.span(60_000, c.bytes-c.bytes/2)))
		p.post(p.a, wr)
		asked, outstanding := 0, 0
		most := 0
		p.pass = func(s *sentPacket) int {
			switch {
			case s.Opcode == wire.ReadRequest:
				require.Equal(t, wr.Remote.Addr+uint64(asked), s.VA)
				n := max(1, (int(s.Length)+255)/256)
				require.LessOrEqual(t, n, c.part)
				asked += int(s.Length)
				outstanding++
				most = max(most, outstanding)
			case s.Opcode.IsLast():
				outstanding--
			}
			return 1
		}
		p.run()
		p.allOK(p.a, 1)
		require.Equal(t, c.bytes, asked)
		require.LessOrEqual(t, most, c.maxReads)
		require.True(t, bytes.Equal(p.b.open.mem[11:11+c.bytes], slices.Concat(p.a.local.mem[3:3+c.bytes/2], p.a.local.mem[60_000:60_000+c.bytes-c.bytes/2])))
		require.NotContains(t, p.opcodes(p.b), wire.Acknowledge)
	}
}
