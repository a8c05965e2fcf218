package rc

import (
	"testing"
	"time"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// flatMemory is memory that costs nothing to look up.
type flatMemory struct {
	mem  []byte
	base uint64
}

func (m *flatMemory) Local(s transport.Span) ([]byte, bool) {
	off := s.Addr() - m.base
	return m.mem[off:][:s.Len()], true
}

func (m *flatMemory) Remote(_ uint32, va uint64, n uint32, _ transport.Access) ([]byte, bool) {
	off := va - m.base
	return m.mem[off:][:n], true
}

// endless is receives without end, and a sink without bottom.
type endless struct {
	receive        transport.WorkRequest
	sent, received int
}

func (e *endless) Take() (transport.WorkRequest, bool)                         { return e.receive, true }
func (e *endless) Posted() int                                                 { return 1000 }
func (e *endless) Sent(transport.Completion, int)                              { e.sent++ }
func (e *endless) Received(*transport.WorkRequest, transport.Completion, bool) { e.received++ }
func (e *endless) Failed(reason error, _ bool)                                 { panic(reason) }

// fastPair is two queue pairs with as little around them as possible.
type fastPair struct {
	a, b *QueuePair
	endless
	flatMemory
	now Time
	p   wire.Packet
}

func newFastPair() *fastPair {
	f := &fastPair{now: time.Second}
	f.mem = bytesOf(make([]uint64, 1<<14))
	f.base = 1 << 40
	f.receive = transport.Recv(1, f.span(0, 4096))
	c := Config{
		MTU: 4096, SendDepth: 64, InlineBytes: 256, MaxReads: 16, Resources: 16, RNRTimer: 12, Retries: 7, RNRRetries: 7,
		MinTimeout: time.Second, AckTimeout: time.Second, Window: 64,
		Memory: f, Receives: f, Sink: f,
	}
	f.a, f.b = New(c), New(c)
	return f
}

func (f *fastPair) span(off, n int) transport.Span {
	return provider.SpanAt(f.base+uint64(off), n, 1)
}

// exchange carries all packets both ways.
func (f *fastPair) exchange() (packets int) {
	for {
		moved := false
		for f.a.Next(f.now, true, &f.p) {
			f.b.Handle(&f.p, f.now)
			moved = true
			packets++
		}
		for f.b.Next(f.now, true, &f.p) {
			f.a.Handle(&f.p, f.now)
			moved = true
			packets++
		}
		f.now++
		if !moved {
			return packets
		}
	}
}

func (f *fastPair) requests() map[string]transport.WorkRequest {
	remote := func(n uint32) transport.RemoteSpan {
		return transport.RemoteSpan{Addr: f.base + 1<<16, Len: n, Key: 1}
	}
	const s = transport.Signaled
	return map[string]transport.WorkRequest{
		"write 8":        transport.Write(1, f.span(0, 8), remote(8)).With(s),
		"write 8 inline": transport.Write(1, f.span(0, 8), remote(8)).With(s | transport.Inline),
		"write 32K":      transport.Write(1, f.span(0, 20480), remote(32768)).WithSecondSpan(f.span(20480, 12288)).With(s),
		"write-imm 8":    transport.WriteImm(1, f.span(0, 8), remote(8), 7).With(s),
		"send 8":         transport.Send(1, f.span(0, 8)).With(s),
		"read 32K":       transport.Read(1, f.span(0, 32768), remote(32768)).With(s),
		"fetch-add":      transport.FetchAdd(1, f.span(0, 8), remote(8), 1).With(s),
		"compare-swap":   transport.CompareSwap(1, f.span(0, 8), remote(8), 1, 2).With(s),
	}
}

func TestNoAllocations(t *testing.T) {
	f := newFastPair()
	for name, wr := range f.requests() {
		n := testing.AllocsPerRun(100, func() {
			f.a.Post(&wr)
			f.exchange()
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if f.a.Outstanding() {
		t.Error("not all requests have ended")
	}
}

// BenchmarkRequest is a whole request: posted, its packets handed over, and
// acknowledged.
func BenchmarkRequest(b *testing.B) {
	f := newFastPair()
	for _, name := range []string{"write 8", "write 8 inline", "write-imm 8", "send 8", "fetch-add", "read 32K", "write 32K"} {
		wr := f.requests()[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			packets := 0
			for b.Loop() {
				f.a.Post(&wr)
				packets += f.exchange()
			}
			b.ReportMetric(float64(packets)/float64(b.N), "packets/op")
		})
	}
}

// BenchmarkStep is each step of an 8-byte write, 32 of which are under way.
func BenchmarkStep(b *testing.B) {
	f := newFastPair()
	const batch = 32
	wr := f.requests()["write 8"]
	var packets [batch]wire.Packet
	var spent [3]time.Duration
	for b.Loop() {
		t0 := time.Now()
		for range batch {
			f.a.Post(&wr)
		}
		t1 := time.Now()
		for i := range packets {
			f.a.Next(f.now, false, &packets[i])
		}
		t2 := time.Now()
		for i := range packets {
			f.b.Handle(&packets[i], f.now)
		}
		t3 := time.Now()
		f.exchange()
		spent[0] += t1.Sub(t0)
		spent[1] += t2.Sub(t1)
		spent[2] += t3.Sub(t2)
	}
	for i, name := range []string{"ns/post", "ns/next", "ns/handle"} {
		b.ReportMetric(float64(spent[i].Nanoseconds())/float64(b.N*batch), name)
	}
}
