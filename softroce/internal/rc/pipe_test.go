package rc

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// This file joins two queue pairs directly: what Next of one gives, Handle of the
// other gets, unless the test loses it, doubles it or turns it round. The big
// random walks over a simulated network are elsewhere (walk_test.go).

// testMemory is the registered memory of one end.
type testMemory struct {
	regions map[uint32]*testRegion
}

type testRegion struct {
	key    uint32
	base   uint64
	mem    []byte
	access transport.Access
	closed bool
}

func (m *testMemory) add(size int, access transport.Access) *testRegion {
	key := uint32(len(m.regions) + 1)
	words := make([]uint64, size/8+1) // aligned
	r := &testRegion{key: key, base: 0x7f00_0000_0000 + uint64(key)<<24, mem: bytesOf(words)[:size], access: access}
	if m.regions == nil {
		m.regions = map[uint32]*testRegion{}
	}
	m.regions[key] = r
	return r
}

func (m *testMemory) slice(key uint32, va, n uint64) ([]byte, *testRegion) {
	r := m.regions[key]
	if r == nil || r.closed || va < r.base || va-r.base > uint64(len(r.mem)) || n > uint64(len(r.mem))-(va-r.base) {
		return nil, nil
	}
	return r.mem[va-r.base:][:n:n], r
}

func (m *testMemory) Local(s transport.Span) ([]byte, bool) {
	mem, r := m.slice(s.LKey(), s.Addr(), uint64(s.Len()))
	return mem, r != nil
}

func (m *testMemory) Remote(key uint32, va uint64, n uint32, need transport.Access) ([]byte, bool) {
	mem, r := m.slice(key, va, uint64(n))
	if r == nil || r.access&need != need {
		return nil, false
	}
	return mem, true
}

// span is a part of the region as its owner's requests name it.
func (r *testRegion) span(off, n int) transport.Span {
	return provider.SpanAt(r.base+uint64(off), n, r.key)
}

// remote is a part of the region as the peer's requests name it.
func (r *testRegion) remote(off, n int) transport.RemoteSpan {
	return transport.RemoteSpan{Addr: r.base + uint64(off), Len: uint32(n), Key: transport.RKey(r.key)}
}

// fill fills the region with bytes that depend on seed and place.
func (r *testRegion) fill(seed byte) *testRegion {
	for i := range r.mem {
		r.mem[i] = seed + byte(i) + byte(i>>8)*3
	}
	return r
}

// testEnd is a queue pair with the program around it.
type testEnd struct {
	*QueuePair
	t      testing.TB
	name   string
	memory testMemory
	local  *testRegion // for what is sent, and the results of reads and atomics
	open   *testRegion // granted to the peer
	inbox  *testRegion // for receives

	posted     []transport.WorkRequest // receives that have not been taken
	shared     bool
	sent       []transport.Completion
	entries    []int
	received   []transport.Completion
	woken      []bool // solicited, of received
	failures   []error
	told       bool
	statistics Counters
}

func (e *testEnd) Take() (wr transport.WorkRequest, ok bool) {
	if len(e.posted) == 0 {
		return wr, false
	}
	wr, e.posted = e.posted[0], e.posted[1:]
	return wr, true
}

func (e *testEnd) Posted() int {
	if e.shared {
		return -1
	}
	return len(e.posted)
}

func (e *testEnd) Sent(c transport.Completion, entries int) {
	e.sent = append(e.sent, c)
	e.entries = append(e.entries, entries)
}

func (e *testEnd) Received(wr *transport.WorkRequest, c transport.Completion, solicited bool) {
	if wr.ID != c.ID {
		e.t.Errorf("%s: completion of receive %d for receive %d", e.name, c.ID, wr.ID)
	}
	e.received = append(e.received, c)
	e.woken = append(e.woken, solicited)
}

func (e *testEnd) Failed(reason error, tell bool) {
	e.failures = append(e.failures, reason)
	e.told = tell
}

func (e *testEnd) receive(id uint64, off, n int) {
	e.posted = append(e.posted, transport.Recv(id, e.inbox.span(off, n)))
}

func (e *testEnd) statuses() (s []transport.Status) {
	for _, c := range e.sent {
		s = append(s, c.Status)
	}
	return s
}

// pipe is the two ends and what is on the way between them.
type pipe struct {
	t    testing.TB
	a, b *testEnd
	now  Time
	log  []sentPacket
	// pass says what becomes of a packet, number len(log)-1: how often it arrives. nil:
	// once.
	pass func(s *sentPacket) int
	// eager: acknowledgements are sent as soon as possible.
	eager bool
}

type sentPacket struct {
	wire.Packet
	from *testEnd
}

func (s *sentPacket) String() string {
	return fmt.Sprintf("%s %v psn %06x syndrome %02x, %d bytes", s.from.name, s.Opcode, s.PSN, s.Syndrome, s.PayloadBytes())
}

const testWait = time.Millisecond

// newPipe joins two ends with little memory; change may change what is the same at
// both.
func newPipe(t testing.TB, change func(c *Config)) *pipe { return newPipeWith(t, 1<<14, change) }

// newBigPipe does so with more memory.
func newBigPipe(t testing.TB, change func(c *Config)) *pipe { return newPipeWith(t, 1<<17, change) }

func newPipeWith(t testing.TB, bytes int, change func(c *Config)) *pipe {
	p := &pipe{t: t, now: time.Second, eager: true}
	ends := [2]*testEnd{{t: t, name: "a"}, {t: t, name: "b"}}
	for i, e := range ends {
		e.local = e.memory.add(bytes, transport.LocalOnly)
		e.open = e.memory.add(bytes, transport.RemoteAll)
		e.inbox = e.memory.add(bytes, transport.LocalOnly)
		c := Config{
			Conn: uint32(i + 1), PeerQPN: uint32(0x101 - i), MTU: 1024, SendDepth: 64, InlineBytes: 256,
			MaxReads: 16, Resources: 16, RNRTimer: 12, Retries: 7, RNRRetries: RNRForEver,
			MinTimeout: testWait, AckTimeout: 64 * testWait, Window: 64,
		}
		if change != nil {
			change(&c)
		}
		c.SendPSN, c.RecvPSN = uint32(0xfffff0+i), uint32(0xfffff0+1-i)
		c.Memory, c.Receives, c.Sink, c.Counters = &e.memory, e, e, &e.statistics
		e.QueuePair = New(c)
	}
	p.a, p.b = ends[0], ends[1]
	return p
}

func (p *pipe) peer(e *testEnd) *testEnd {
	if e == p.a {
		return p.b
	}
	return p.a
}

// take takes all that an end has to send, copied.
func (p *pipe) take(e *testEnd) (packets []*sentPacket) {
	for {
		s := &sentPacket{from: e}
		if !e.Next(p.now, p.eager, &s.Packet) {
			return packets
		}
		data := append([]byte(nil), s.Payload[0]...)
		s.Payload = [2][]byte{append(data, s.Payload[1]...)}
		packets = append(packets, s)
		if len(packets) > 1<<16 {
			p.t.Fatal("no end of packets")
		}
	}
}

// next is the next packet of an end, which has one.
func (p *pipe) next(e *testEnd) *sentPacket {
	p.t.Helper()
	s := &sentPacket{from: e}
	require.True(p.t, e.Next(p.now, true, &s.Packet))
	return s
}

// hand hands packets to those that they are for.
func (p *pipe) hand(packets ...*sentPacket) {
	for _, s := range packets {
		p.peer(s.from).Handle(&s.Packet, p.now)
	}
}

// lose has the packets lost that match.
func (p *pipe) lose(match func(s *sentPacket) bool) {
	p.pass = func(s *sentPacket) int {
		if match(s) {
			return 0
		}
		return 1
	}
}

// carry exchanges packets until there are none; false when there were none.
func (p *pipe) carry() bool {
	p.t.Helper()
	any := false
	for round := 0; ; round++ {
		if round > 10000 {
			p.t.Fatalf("no end of packets; the last was %v", &p.log[len(p.log)-1])
		}
		moved := false
		for _, e := range []*testEnd{p.a, p.b} {
			for _, s := range p.take(e) {
				moved = true
				p.log = append(p.log, *s)
				copies := 1
				if p.pass != nil {
					copies = p.pass(s)
				}
				for range copies {
					p.hand(s)
				}
			}
		}
		if !moved {
			return any
		}
		any = true
		p.now += time.Microsecond
	}
}

// run exchanges packets, and lets time pass, until nothing happens any more.
func (p *pipe) run() {
	p.t.Helper()
	for range 10000 {
		p.carry()
		next := Time(0)
		for _, e := range []*testEnd{p.a, p.b} {
			if d := e.Deadline(); d != 0 && (next == 0 || d < next) {
				next = d
			}
		}
		if next == 0 {
			return
		}
		p.now = max(p.now, next)
		for _, e := range []*testEnd{p.a, p.b} {
			if d := e.Deadline(); d != 0 && d <= p.now {
				e.Expire(p.now)
			}
		}
	}
	p.t.Fatal("it never ends")
}

// expire lets time pass until a has something to do.
func (p *pipe) expire() {
	p.now = p.a.Deadline()
	p.a.Expire(p.now)
}

// timeout lets time pass until a's retransmission timer has run out.
func (p *pipe) timeout() {
	p.t.Helper()
	before := p.a.statistics.Timeouts
	for range 2 {
		if p.expire(); p.a.statistics.Timeouts > before {
			return
		}
		p.take(p.a) // a probe
	}
	p.t.Fatal("no timeout")
}

func (p *pipe) post(e *testEnd, wrs ...transport.WorkRequest) {
	for i := range wrs {
		e.Post(&wrs[i])
	}
}

// opcodes is what an end has sent.
func (p *pipe) opcodes(e *testEnd) (o []wire.Opcode) {
	for i := range p.log {
		if p.log[i].from == e {
			o = append(o, p.log[i].Opcode)
		}
	}
	return o
}

func signaled(w transport.WorkRequest) transport.WorkRequest { return w.With(transport.Signaled) }

func (p *pipe) allOK(e *testEnd, n int) {
	p.t.Helper()
	require.Len(p.t, e.sent, n)
	for _, c := range e.sent {
		require.Equal(p.t, transport.StatusOK, c.Status)
	}
	require.Empty(p.t, e.failures)
}

func (r *testRegion) uint64(off int) uint64 { return binary.NativeEndian.Uint64(r.mem[off:]) }
