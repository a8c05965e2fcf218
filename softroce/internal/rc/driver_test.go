package rc

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// counting is a sink that counts freed entries, for a program that posts from another
// goroutine.
type counting struct {
	*endless
	entries atomic.Uint64
}

func (c *counting) Sent(_ transport.Completion, entries int) { c.entries.Add(uint64(entries)) }

// TestPostWhileDriving: one goroutine posts, another one drives.
func TestPostWhileDriving(t *testing.T) {
	t.Parallel()
	f := newFastPair()
	sink := &counting{endless: &f.endless}
	c := f.a.cfg
	c.Sink = sink
	f.a = New(c)
	const requests, depth = 20_000, 64
	done := make(chan struct{})
	go func() {
		defer close(done)
		wr := f.requests()["write 8 inline"]
		for i := uint64(0); i < requests; i++ {
			for i-sink.entries.Load() >= depth {
				runtime.Gosched()
			}
			wr.ID = i
			wr.Flags |= transport.Signaled
			if i%3 != 0 && i+1 < requests {
				wr.Flags &^= transport.Signaled
			}
			f.a.Post(&wr)
		}
	}()
	for sink.entries.Load() < requests {
		if f.exchange() == 0 {
			runtime.Gosched()
		}
	}
	<-done
	require.False(t, f.a.Outstanding())
}

// FuzzHandle: no packet that decodes does harm, whatever state it meets: nothing
// panics, and nothing changes in memory that was not granted.
func FuzzHandle(f *testing.F) {
	f.Add([]byte{4, 0, 8, 8, 0, 0xff, 17, 0, 0, 0}, uint64(1))
	f.Add([]byte("\x06\x01\xff\x01\x07\x02\xff\x01\x08\x03\x10\x01\x0c\x04\xff\x02\x13\x05\x00\x01"), uint64(99))
	f.Fuzz(func(t *testing.T, script []byte, seed uint64) {
		p := newPipe(t, func(c *Config) { c.MTU, c.Resources = 256, 2 })
		secret := p.b.memory.add(4096, transport.LocalOnly).fill(7)
		readable := p.b.memory.add(4096, transport.RemoteRead).fill(8)
		keys := []*testRegion{p.b.open, p.b.open, readable, secret, p.b.local}
		for i := range 4 {
			p.b.receive(uint64(i), 1000*i, 600)
		}
		p.post(p.b, signaled(transport.Write(1, p.b.local.span(0, 600), p.a.open.remote(0, 600))), signaled(transport.Read(2, p.b.local.span(1000, 600), p.a.open.remote(0, 600))),
			signaled(transport.FetchAdd(3, p.b.local.span(2000, 8), p.a.open.remote(0, 8), 1)), signaled(transport.Send(4, p.b.local.span(0, 5))))
		p.take(p.b)
		for len(script) >= 4 {
			op, where, size, what := script[0], script[1], script[2], script[3]
			script = script[4:]
			seed = seed*6364136223846793005 + 1442695040888963407
			r := keys[int(what)%len(keys)]
			s := wire.Packet{
				Opcode: wire.Opcode(op % 0x16), AckRequest: what&1 != 0, Solicited: what&2 != 0,
				PSN: wire.PSNAdd(p.b.Delivered(), int(int8(where))/16), Syndrome: what, MSN: uint32(seed>>40) & wire.PSNMask,
				VA: r.base + uint64(where)*16, RKey: r.key, Length: uint32(size) * uint32(what%3), SwapAdd: seed, Compare: seed >> 7, Original: seed,
			}
			if s.Opcode.HasPayload() {
				s.Payload = data(int(size) * int(what%4+1))
			}
			if s.Opcode.IsResponse() {
				s.PSN = wire.PSNAdd(0xfffff1, int(where)/32)
			}
			if what > 250 {
				s.PSN = uint32(seed) & wire.PSNMask
				s.VA = seed
			}
			p.b.Handle(&s, p.now)
			if what&4 != 0 {
				p.take(p.b)
			}
			p.now += time.Duration(where) * time.Microsecond
			if d := p.b.Deadline(); d != 0 && d < p.now {
				p.b.Expire(p.now)
			}
		}
		p.take(p.b)
		require.Equal(t, new(testMemory).add(4096, 0).fill(7).mem, secret.mem)
		require.Equal(t, new(testMemory).add(4096, 0).fill(8).mem, readable.mem)
		require.Equal(t, make([]byte, 100), p.b.local.mem[2100:2200])
		require.Equal(t, make([]byte, 400), p.b.inbox.mem[600:1000])
		require.LessOrEqual(t, len(p.b.sent), 4)
		require.LessOrEqual(t, len(p.b.failures), 1)
	})
}
