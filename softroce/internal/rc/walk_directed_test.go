package rc_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/internal/simnet"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// Tests of single situations, with the hosts and the network of the walks, but
// nobody who does anything at random.

// stage is a client and a server that are connected.
type stage struct {
	*walk
	t              *testing.T
	client, server *side
	sent           []sent // by both
	made           int    // requests
}

// sent is a packet, without its payload, and when it was sent.
type sent struct {
	at time.Duration
	by *side
	wire.Packet
}

var directed = kind{name: "directed", mayFail: true}

func newStage(t *testing.T, change func(*settings)) *stage {
	k := directed
	k.draw = func(*walk) settings {
		s := settings{
			clients: 1, pairs: 1, ipv6: true,
			mtu: 1024, window: 64, depth: 16, inline: 64, maxReads: 4, resources: 4,
			minTimeout: 100 * time.Microsecond, ackTimeout: 10 * time.Millisecond,
			retries: 7, rnrRetries: 7, rnrTimer: 12,
			link:     simnet.Config{Delay: 10 * time.Microsecond},
			maxBytes: 64 << 10, receives: 8, batch: 1000,
		}
		if change != nil {
			change(&s)
		}
		return s
	}
	s := &stage{walk: newWalk(&k, 1, 200), t: t}
	s.client, s.server = s.sides[0], s.sides[1]
	s.cause = func(*side, *request, transport.Status) bool { return true }
	s.deaf = true
	s.net.Observe(func(e simnet.Event) {
		s.watch(e)
		if e.What != simnet.Sent {
			return
		}
		p := sent{at: e.At, by: s.client}
		require.NoError(t, p.Decode(bytes.Clone(e.Datagram)))
		if e.From == s.server.host.end {
			p.by = s.server
		}
		s.sent = append(s.sent, p)
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("\n" + strings.Join(s.log.lines, "\n"))
		}
	})
	return s
}

// play moves the clock until there is nothing more to happen.
func (s *stage) play() {
	s.t.Helper()
	defer func() {
		if b, ok := recover().(broken); ok {
			s.t.Fatal(string(b))
		}
	}()
	for s.turn() {
	}
}

// at has something done at a moment from now.
func (s *stage) at(d time.Duration, f func()) { s.net.After(d, f) }

// post posts requests of a side, all signaled but those that are not to be.
func (s *stage) post(by *side, rs ...*request) {
	for _, r := range rs {
		r.index, r.posted = len(by.posted), s.now()
		r.wr.ID = uint64(r.index) ^ by.salt
		r.wr.Flags |= transport.Signaled
		by.commit(r)
	}
}

func (s *stage) send(by *side, n int) *request {
	r := &request{}
	r.wr.Op = transport.OpSend
	s.fill(by, r, n)
	return r
}

// fill is side.fill with one span at the beginning of the slot.
func (s *stage) fill(by *side, r *request, n int) {
	r.slot = s.made % len(by.slotUsers)
	s.made++
	r.region, r.pieces[0] = by.slots, piece{by.slots.at.off + r.slot*by.slotBytes, n}
	r.wr.Local = by.slots.span(r.pieces[0])
	r.content = bytes.Clone(by.host.mem(r.pieces[0]))
}

func (s *stage) write(by *side, op transport.Op, zone *region, off, n int) *request {
	r := &request{stores: true, target: piece{zone.at.off + off, n}}
	r.wr.Op = op
	s.fill(by, r, n)
	r.wr.Remote = zone.remote(r.target)
	return r
}

func (s *stage) read(by *side, zone *region, off, n int) *request {
	r := &request{target: piece{zone.at.off + off, n}}
	r.wr.Op = transport.OpRead
	s.fill(by, r, n)
	r.wr.Remote = zone.remote(r.target)
	r.content = bytes.Clone(zone.host.model(r.target))
	return r
}

func (s *stage) fetchAdd(by *side, zone *region, off int, add uint64) *request {
	r := &request{stores: true, target: piece{zone.at.off + off, 8}}
	s.fill(by, r, 8)
	r.wr = transport.FetchAdd(0, r.wr.Local, zone.remote(r.target), add)
	r.former = binary.NativeEndian.Uint64(zone.host.model(r.target))
	r.content = binary.NativeEndian.AppendUint64(nil, r.former+add)
	return r
}

// count is how many packets of a kind a side has sent.
func (s *stage) count(by *side, is func(p *wire.Packet) bool) (n int) {
	for i := range s.sent {
		if s.sent[i].by == by && is(&s.sent[i].Packet) {
			n++
		}
	}
	return n
}

func nak(syndrome uint8) func(*wire.Packet) bool {
	return func(p *wire.Packet) bool { return p.Opcode == wire.Acknowledge && p.Syndrome == syndrome }
}

const (
	ok      = transport.StatusOK
	flushed = transport.StatusFlushed
)

func TestRNRRetriesExceeded(t *testing.T) {
	t.Parallel()
	for _, op := range []transport.Op{transport.OpSend, transport.OpWriteImm} {
		t.Run(op.String(), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, func(s *settings) { s.rnrRetries = 3 })
			first := s.send(s.client, 100)
			if op == transport.OpWriteImm {
				first = s.write(s.client, op, s.client.writable, 0, 100)
			}
			before := s.server.host.mem(s.client.writable.at)
			held := bytes.Clone(before)
			s.post(s.client, first, s.write(s.client, transport.OpWrite, s.client.writable, 500, 10), s.read(s.client, s.client.readable, 0, 10))
			s.play()
			require.Equal(t, []transport.Status{transport.StatusRNRRetryExceeded, flushed, flushed}, s.client.statuses)
			require.Equal(t, 4, s.count(s.server, func(p *wire.Packet) bool { return p.Opcode == wire.Acknowledge && p.Syndrome&0x60 == wire.SyndromeRNR }))
			require.Equal(t, 4, s.count(s.client, func(p *wire.Packet) bool { return p.PSN == s.client.firstPSN }))
			require.Greater(t, s.net.Now(), time.Second+3*wire.RNRTimer(12), "each time it has waited as long as it was told to")
			require.Equal(t, held, before, "a message that found no receive, and what follows it, leave no trace")
			require.Zero(t, s.client.host.counters.Timeouts)
			require.Error(t, s.client.failed)
			require.NoError(t, s.server.failed)
		})
	}
}

// TestRNRRetriesAgain: a message that was received makes up for the times that it,
// or those before it, had been turned away.
func TestRNRRetriesAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(s *settings) { s.rnrRetries, s.rnrTimer = 2, 12 })
	for i := range 6 {
		s.post(s.client, s.send(s.client, 100))
		s.at(time.Duration(i+1)*3*wire.RNRTimer(12)/2, func() { s.server.receives.fill(1) })
	}
	s.play()
	require.Equal(t, []transport.Status{ok, ok, ok, ok, ok, ok}, s.client.statuses)
	require.Greater(t, s.client.host.counters.RNRNAKsReceived, uint64(6))
}

// TestRNRForEver: the wait lasts as long as it takes; and no longer, if the peer
// says that it has receives again.
func TestRNRForEver(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		t.Run(fmt.Sprintf("quiet=%v", quiet), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, func(s *settings) { s.rnrTimer, s.retries = 31, 1 }) // 491.52 ms
			s.post(s.client, s.send(s.client, 3000), s.send(s.client, 0))
			const after = 5 * time.Second
			s.at(after, func() {
				s.server.receives.fill(2)
				if !quiet {
					s.server.q.ReceivesPosted(s.now())
				}
				s.server.wake(0)
			})
			s.play()
			require.Equal(t, []transport.Status{ok, ok}, s.client.statuses)
			if quiet {
				require.GreaterOrEqual(t, s.net.Now(), time.Second+11*wire.RNRTimer(31))
			} else {
				require.Less(t, s.net.Now(), time.Second+after+time.Millisecond)
			}
			require.Less(t, len(s.sent), 60)
		})
	}
}

func TestRetriesExhausted(t *testing.T) {
	t.Parallel()
	for _, retries := range []int{0, 1, 7} {
		t.Run(fmt.Sprint(retries), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, func(s *settings) { s.retries = retries })
			s.post(s.client, s.read(s.client, s.client.readable, 0, 5000), s.write(s.client, transport.OpWrite, s.client.writable, 0, 5000), s.send(s.client, 1))
			s.net.Partition(s.client.host.end)
			s.play()
			require.Equal(t, []transport.Status{transport.StatusRetryExceeded, flushed, flushed}, s.client.statuses)
			require.True(t, s.client.tell)
			require.Equal(t, 1+retries, s.count(s.client, func(p *wire.Packet) bool { return p.PSN == s.client.firstPSN }))
			least, most := time.Duration(retries+1)*s.minTimeout, time.Duration(retries+1)*s.ackTimeout
			require.GreaterOrEqual(t, s.net.Now()-time.Second, least)
			require.LessOrEqual(t, s.net.Now()-time.Second, most)
			require.EqualValues(t, retries+1, s.client.host.counters.Timeouts)

			// What is posted later is flushed at once.
			s.post(s.client, s.send(s.client, 10))
			now := s.net.Now()
			s.play()
			require.Equal(t, now, s.net.Now())
			require.Equal(t, flushed, s.client.statuses[3])
		})
	}
}

// TestProbe: the probe before the first timeout is one packet, and no try.
func TestProbe(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(s *settings) { s.retries, s.minTimeout = 2, 5*time.Millisecond })
	s.post(s.client, s.write(s.client, transport.OpWrite, s.client.writable, 0, 8))
	s.play() // how long an answer takes is known now
	s.net.Partition(s.client.host.end)
	before := len(s.sent)
	s.post(s.client, s.write(s.client, transport.OpWrite, s.client.writable, 0, 5000))
	s.play()
	require.Equal(t, []transport.Status{ok, transport.StatusRetryExceeded}, s.client.statuses)
	c := &s.client.host.counters
	require.EqualValues(t, 1, c.Probes)
	require.EqualValues(t, 3, c.Timeouts)
	require.Len(t, s.sent[before:], 3*5+1)
}

// TestRevoked closes a region in the middle of a request that uses it.
func TestRevoked(t *testing.T) {
	t.Parallel()
	const n = 50_000
	write := func(s *stage) *request { return s.write(s.client, transport.OpWrite, s.client.writable, 100, n) }
	read := func(s *stage) *request { return s.read(s.client, s.client.readable, 100, n) }
	for _, test := range []struct {
		name         string
		request      func(s *stage) *request
		close        func(s *stage) *region
		status       transport.Status
		serverKnows  bool
		nak          uint8
		receivedWith transport.Status
	}{
		{"written", write, func(s *stage) *region { return s.client.writable }, transport.StatusRemoteAccess, true, wire.NAKRemoteAccess, 0},
		{"read", read, func(s *stage) *region { return s.client.readable }, transport.StatusRemoteAccess, true, wire.NAKRemoteAccess, 0},
		{"source of a Write", write, func(s *stage) *region { return s.client.slots }, transport.StatusLocalProtection, false, 0, 0},
		{"destination of a Read", read, func(s *stage) *region { return s.client.slots }, transport.StatusLocalProtection, false, 0, 0},
		{
			"receive", func(s *stage) *request { return s.send(s.client, n) }, func(s *stage) *region { return s.server.receives.region },
			transport.StatusRemoteOperation, true, wire.NAKRemoteOperational, transport.StatusLocalProtection,
		},
		{"source of a Send", func(s *stage) *request { return s.send(s.client, n) }, func(s *stage) *region { return s.client.slots }, transport.StatusLocalProtection, false, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, func(s *settings) { s.window = 8 })
			s.server.receives.fill(3)
			first := s.write(s.client, transport.OpWrite, s.client.open, 0, 8)
			s.post(s.client, first, test.request(s), s.write(s.client, transport.OpWrite, s.client.open, 100, 8))
			r := test.close(s)
			var held []byte
			s.at(75*time.Microsecond, func() {
				require.Len(t, s.client.statuses, 1, "in the middle of the second")
				r.closed = true
				held = bytes.Clone(r.host.mem(r.at))
			})
			s.play()
			require.Equal(t, []transport.Status{ok, test.status, flushed}, s.client.statuses)
			require.Equal(t, held, r.host.mem(r.at))
			require.Equal(t, first.content, s.server.host.mem(first.target))
			require.NotEqual(t, test.serverKnows, s.client.tell)
			require.Equal(t, test.serverKnows, s.server.failed != nil)
			if test.nak != 0 {
				require.NotZero(t, s.count(s.server, nak(test.nak)))
				require.False(t, s.server.tell)
			}
			require.Equal(t, test.receivedWith, s.server.receiveStatus)
			s.client.settle()
		})
	}
}

// TestOldPackets hands the packets of a conversation in again, all of them, in any
// order, when it is over: nothing happens. Then it goes on.
func TestOldPackets(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	var old [2][]wire.Packet // to the client, to the server
	s.net.Observe(func(e simnet.Event) {
		s.watch(e)
		if e.What == simnet.Delivered {
			var p wire.Packet
			require.NoError(t, p.Decode(bytes.Clone(e.Datagram)))
			if e.To == s.server.host.end {
				old[1] = append(old[1], p)
			} else {
				old[0] = append(old[0], p)
			}
		}
	})
	s.server.receives.fill(8)
	s.client.receives.fill(8)
	for range 2 {
		for _, by := range []*side{s.client, s.server} {
			s.post(by,
				s.write(by, transport.OpWrite, by.writable, 7, 5000), s.write(by, transport.OpWrite, by.writable, 3000, 100),
				s.fetchAdd(by, by.open, 8, 3), s.send(by, 3000), s.read(by, by.readable, 50, 4000),
				s.write(by, transport.OpWriteImm, by.writable, 0, 2000), s.send(by, 0))
			s.play()
		}
		require.Len(t, s.client.statuses, len(s.client.posted))
		require.Len(t, s.server.statuses, len(s.server.posted))
		for i, h := range []*host{s.client.host, s.server.host} {
			held := bytes.Clone(h.bytes)
			for range 3 * len(old[i]) {
				p := pick(s.random, old[i]...)
				h.handle(&p)
				if oneIn(s.random, 10) {
					s.play()
				}
			}
			s.play()
			require.Equal(t, held, h.bytes)
		}
	}
	for _, by := range []*side{s.client, s.server} {
		require.Equal(t, 6, by.received)
		require.NoError(t, by.failed)
		c := &by.host.counters
		for name, n := range map[string]uint64{"duplicates": c.Duplicates, "atomics": c.ReplayedAtomics, "reads": c.ReplayedReads, "stale acks": c.StaleAcks} {
			require.NotZero(t, n, name)
		}
	}
}
