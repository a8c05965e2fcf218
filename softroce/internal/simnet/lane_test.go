package simnet_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/bits"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/internal/simnet"
)

// pipe is one lane, and what came out of it.
type pipe struct {
	*simnet.Network
	from, to *simnet.End
	sent     uint64
	got      []arrival
	count    map[simnet.What]int // until the test observes by itself
}

type arrival struct {
	at       time.Duration
	datagram []byte
}

func newPipe(seed uint64, c simnet.Config) *pipe {
	p := &pipe{Network: simnet.New(seed, 0), count: map[simnet.What]int{}}
	p.Observe(func(e simnet.Event) { p.count[e.What]++ })
	p.from = p.Attach("from", func(*simnet.End, []byte) { panic("nobody sent that") })
	p.to = p.Attach("to", func(from *simnet.End, datagram []byte) {
		if from != p.from {
			panic("wrong sender")
		}
		p.got = append(p.got, arrival{p.Now(), datagram})
	})
	p.Join(p.from, p.to, c)
	return p
}

// send sends the next datagram: its number, and then zeros.
func (p *pipe) send(bytes int) {
	b := make([]byte, bytes)
	binary.BigEndian.PutUint64(b, p.sent)
	p.sent++
	p.from.Send(p.to, b)
	clear(b) // it was copied
}

func (p *pipe) settle() {
	for p.Step() {
	}
}

func (p *pipe) numbers() []uint64 {
	var all []uint64
	for _, a := range p.got {
		all = append(all, binary.BigEndian.Uint64(a.datagram))
	}
	return all
}

func TestPerfectLane(t *testing.T) {
	t.Parallel()
	p := newPipe(1, simnet.Config{Delay: 7 * time.Microsecond})
	for i := range 100 {
		p.Advance(time.Duration(i) * time.Microsecond)
		p.send(8 + i)
	}
	p.settle()
	require.Len(t, p.got, 100)
	for i, a := range p.got {
		require.EqualValues(t, i, binary.BigEndian.Uint64(a.datagram))
		require.Len(t, a.datagram, 8+i)
		require.Equal(t, time.Duration(i+7)*time.Microsecond, a.at)
	}
	require.Equal(t, map[simnet.What]int{simnet.Sent: 100, simnet.Delivered: 100}, p.count)
}

// TestChances sends enough for each rate to be close to its chance.
func TestChances(t *testing.T) {
	t.Parallel()
	const many = 50_000
	type counts = map[simnet.What]int
	for name, test := range map[string]struct {
		config simnet.Config
		want   counts
	}{
		"loss":         {simnet.Config{Loss: 0.1}, counts{simnet.Delivered: many * 9 / 10, simnet.Lost: many / 10}},
		"loss in runs": {simnet.Config{Loss: 0.1, LossRun: 4}, counts{simnet.Delivered: many * 9 / 10, simnet.Lost: many / 10}},
		"all lost":     {simnet.Config{Loss: 1}, counts{simnet.Lost: many}},
		"duplicate":    {simnet.Config{Duplicate: 0.1}, counts{simnet.Delivered: many * 11 / 10, simnet.Duplicated: many / 10}},
		"reorder":      {simnet.Config{Reorder: 0.1, ReorderBy: 10}, counts{simnet.Delivered: many, simnet.Reordered: many / 10}},
		"flip":         {simnet.Config{Flip: 0.1}, counts{simnet.Delivered: many, simnet.Flipped: many / 10}},
		"truncate":     {simnet.Config{Truncate: 0.1}, counts{simnet.Delivered: many, simnet.Truncated: many / 10}},
		"all of them": {
			simnet.Config{Loss: 0.2, Duplicate: 0.5, Reorder: 0.5, ReorderBy: 10, Flip: 0.1, Truncate: 0.05},
			counts{
				simnet.Delivered: many * 12 / 10, simnet.Lost: many / 5, simnet.Duplicated: many * 4 / 10,
				simnet.Reordered: many * 6 / 10, simnet.Flipped: many * 12 / 100, simnet.Truncated: many * 6 / 100,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPipe(2, test.config)
			for range many {
				p.send(16)
				p.Advance(p.Now() + 1)
			}
			p.settle()
			test.want[simnet.Sent] = many
			for what := simnet.Sent; what <= simnet.Overflowed; what++ {
				if want := test.want[what]; want%many == 0 {
					require.Equal(t, want, p.count[what], what)
				} else {
					require.InEpsilon(t, want, p.count[what], 0.1, what)
				}
			}
		})
	}
}

// TestLossRuns: the mean length of runs is what was asked for.
func TestLossRuns(t *testing.T) {
	t.Parallel()
	for _, run := range []float64{0, 1, 3, 8} {
		p := newPipe(3, simnet.Config{Loss: 0.05, LossRun: run})
		lost, runs, before := 0, 0, simnet.Delivered
		p.Observe(func(e simnet.Event) {
			if e.What == simnet.Lost {
				lost++
				if before != simnet.Lost {
					runs++
				}
			}
			if e.What != simnet.Sent {
				before = e.What
			}
		})
		for range 100_000 {
			p.send(8)
			p.settle()
		}
		want := max(run, 1/0.95) // independent losses have neighbours, too
		require.InEpsilon(t, want, float64(lost)/float64(runs), 0.1, "runs of %v", run)
		require.InEpsilon(t, 5000, lost, 0.15)
	}
}

// TestJitter: delays are spread over the whole of it, and the order is kept.
func TestJitter(t *testing.T) {
	t.Parallel()
	p := newPipe(4, simnet.Config{Delay: 100, Jitter: 50})
	var delays []time.Duration
	for range 1000 {
		p.send(8)
		sent := p.Now()
		p.settle()
		delays = append(delays, p.got[len(p.got)-1].at-sent)
	}
	require.EqualValues(t, 100, slices.Min(delays))
	require.EqualValues(t, 150, slices.Max(delays))

	p = newPipe(5, simnet.Config{Delay: 100, Jitter: 50, Duplicate: 0})
	for range 1000 {
		p.send(8)
		p.Advance(p.Now() + 1)
	}
	p.settle()
	require.True(t, slices.IsSorted(p.numbers()))
}

// TestReorder: those held back are passed, by no more than was asked for, and the
// others keep their order.
func TestReorder(t *testing.T) {
	t.Parallel()
	p := newPipe(6, simnet.Config{Delay: 100, Reorder: 0.2, ReorderBy: 20})
	held := map[uint64]bool{}
	p.Observe(func(e simnet.Event) {
		if e.What == simnet.Reordered {
			held[binary.BigEndian.Uint64(e.Datagram)] = true
		}
	})
	for range 1000 {
		p.send(8)
		p.Advance(p.Now() + 1)
	}
	p.settle()
	numbers := p.numbers()
	require.Len(t, numbers, 1000)
	require.False(t, slices.IsSorted(numbers))
	var kept []uint64
	var latest time.Duration
	for i, a := range p.got {
		late := a.at - 100 - time.Duration(numbers[i])
		if held[numbers[i]] {
			latest = max(latest, late)
		} else {
			require.Zero(t, late)
			kept = append(kept, numbers[i])
		}
	}
	require.EqualValues(t, 20, latest)
	require.True(t, slices.IsSorted(kept))
}

// TestCorruption: what was flipped differs in few bits, what was truncated is the
// beginning; the sender's memory and the other copy stay whole.
func TestCorruption(t *testing.T) {
	t.Parallel()
	p := newPipe(7, simnet.Config{Flip: 0.5, Duplicate: 1})
	sent := make([]byte, 100)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	seen := map[int]bool{}
	for range 1000 {
		before := slices.Clone(sent)
		p.from.Send(p.to, sent)
		require.Equal(t, before, sent)
	}
	p.settle()
	require.Len(t, p.got, 2000)
	for _, a := range p.got {
		require.Len(t, a.datagram, len(sent))
		different := 0
		for i := range sent {
			different += bits.OnesCount8(sent[i] ^ a.datagram[i])
		}
		seen[different] = true
		require.LessOrEqual(t, different, 10)
	}
	for _, n := range []int{0, 1, 2, 3, 4, 5} {
		require.True(t, seen[n], "%d bits", n)
	}

	p = newPipe(8, simnet.Config{Truncate: 1})
	lengths := map[int]bool{}
	for range 2000 {
		p.from.Send(p.to, sent)
	}
	p.from.Send(p.to, nil) // nothing to cut off
	p.settle()
	for _, a := range p.got {
		lengths[len(a.datagram)] = true
		require.True(t, bytes.HasPrefix(sent, a.datagram))
	}
	require.Len(t, lengths, 100, "each length from 0 to 99")
}

// TestQueue: a lane moves so many bytes a second, and forgets what does not fit
// into its queue.
func TestQueue(t *testing.T) {
	t.Parallel()
	const us = time.Microsecond
	times := func(p *pipe) (all []time.Duration) {
		for _, a := range p.got {
			all = append(all, a.at)
		}
		return all
	}

	p := newPipe(10, simnet.Config{Delay: 5 * us, BytesPerSecond: 100e6, QueueDatagrams: 3})
	for range 5 {
		p.send(100) // 1 us each
	}
	p.settle()
	require.Equal(t, []time.Duration{6 * us, 7 * us, 8 * us}, times(p))
	require.Equal(t, []uint64{0, 1, 2}, p.numbers(), "the tail is dropped")
	require.EqualValues(t, 2, p.count[simnet.Overflowed])
	p.send(100)
	p.settle()
	require.Equal(t, 14*us, times(p)[3], "an idle lane starts at once")

	p = newPipe(11, simnet.Config{BytesPerSecond: 100e6, QueueBytes: 250})
	for _, bytes := range []int{100, 100, 100, 50, 8} {
		p.send(bytes)
	}
	p.Advance(us) // the first has left
	p.send(100)
	p.send(8)
	p.settle()
	require.Equal(t, []uint64{0, 1, 3, 5}, p.numbers())

	p = newPipe(12, simnet.Config{BytesPerSecond: 1e6, QueueDatagrams: 10})
	for range 10_000 { // 10 us each, but sent every 8
		p.send(10)
		p.Advance(p.Now() + 8*us)
	}
	p.settle()
	require.InEpsilon(t, 8_000, p.count[simnet.Delivered], 0.01)
	require.InEpsilon(t, 2_000, p.count[simnet.Overflowed], 0.01)
	require.True(t, slices.IsSorted(p.numbers()))

	p = newPipe(13, simnet.Config{Loss: 0.5, BytesPerSecond: 100e6})
	for range 100 {
		p.send(100)
	}
	p.settle()
	require.Less(t, len(p.got), 90)
	for i, n := range p.numbers() {
		require.Equal(t, time.Duration(n+1)*us, times(p)[i], "what is lost has taken its time")
	}

	p = newPipe(13, simnet.Config{QueueDatagrams: 1})
	p.send(8)
	p.send(8)
	p.settle()
	require.Len(t, p.got, 2, "without a speed, nothing waits")
}

// TestLanesDiffer: each direction has randomness of its own.
func TestLanesDiffer(t *testing.T) {
	t.Parallel()
	n := simnet.New(16, 0)
	lost := map[*simnet.End][]int{}
	nothing := func(*simnet.End, []byte) {}
	a, b := n.Attach("a", nothing), n.Attach("b", nothing)
	n.Join(a, b, simnet.Config{Loss: 0.5})
	i := 0
	n.Observe(func(e simnet.Event) {
		if e.What == simnet.Lost {
			lost[e.From] = append(lost[e.From], i)
		}
	})
	for i = range 100 {
		a.Send(b, nil)
		b.Send(a, nil)
	}
	require.NotEqual(t, lost[a], lost[b])
}

// TestSeed: equal seeds, equal runs; and each datagram's way ends once.
func TestSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) uint64 {
		h := fnv.New64a()
		p := newPipe(seed, simnet.Config{
			Delay: 10, Jitter: 30, Loss: 0.1, LossRun: 2, Duplicate: 0.1, Reorder: 0.1, ReorderBy: 50, Flip: 0.1, Truncate: 0.1,
			MTU: 90, BytesPerSecond: 2e9, QueueDatagrams: 8, QueueBytes: 500,
		})
		ends := 0
		p.Observe(func(e simnet.Event) {
			fmt.Fprintln(h, e.At, e.What, e.From, e.To, e.Datagram)
			p.count[e.What]++
			if e.What >= simnet.Delivered {
				ends++
			}
		})
		for i := range 3000 {
			p.send(8 + i%100)
			p.Advance(p.Now() + time.Duration(i%50))
			switch i % 500 {
			case 400:
				p.Partition(p.to)
			case 420:
				p.Heal()
			}
		}
		p.settle()
		require.Equal(t, p.count[simnet.Sent]+p.count[simnet.Duplicated], ends)
		for what := simnet.Sent; what <= simnet.Overflowed; what++ {
			require.NotZero(t, p.count[what], what)
		}
		return h.Sum64()
	}
	require.Equal(t, run(1), run(1))
	require.NotEqual(t, run(1), run(2))
}
