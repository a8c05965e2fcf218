package transporttest

import (
	"fmt"
	"math"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

var atomicTests = []test{
	{"atomic/fetch-add and compare-swap do what they say", needs{ops: transport.Ops(transport.OpFetchAdd, transport.OpCompareSwap)}, atomicValues},
	{"atomic/adds from many connections sum exactly", needs{ops: transport.Ops(transport.OpFetchAdd)}, func(p *pair) { addFromEverywhere(p, 0) }},
	{"atomic/adds of the CPU count as well", needs{ops: transport.Ops(transport.OpFetchAdd), features: transport.FeatureAtomicsCoherent}, func(p *pair) { addFromEverywhere(p, 2) }},
	{"atomic/a compare-swap lock excludes", needs{ops: transport.Ops(transport.OpCompareSwap, transport.OpRead, transport.OpWrite)}, lockFromEverywhere},
}

func atomicValues(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		former, words := l.a.alloc(24, transport.LocalOnly), l.b.alloc(24, transport.RemoteAtomic)
		const guard = 0x1122334455667788
		expect := func(what string, fetched, left uint64) {
			p.Helper()
			if got, now := former.word(8), words.word(8); got != fetched || now != left {
				l.a.fatalf("%s fetches %#x and leaves %#x; should be %#x and %#x", what, got, now, fetched, left)
			}
			for _, at := range []int{0, 16} {
				if former.word(at) != guard || words.word(at) != guard {
					l.a.fatalf("%s touches the words next to it", what)
				}
			}
		}
		for at := 0; at < 24; at += 8 {
			former.setWord(at, guard)
			words.setWord(at, guard)
		}
		for _, start := range []uint64{0, 1, math.MaxUint32, math.MaxInt64, math.MaxUint64, p.random.Uint64()} {
			for _, operand := range []uint64{0, 1, math.MaxUint32 + 1, math.MaxUint64, p.random.Uint64()} {
				if !p.picked() {
					continue
				}
				words.setWord(8, start)
				l.a.do(fetchAdd(1, former.at(8, 8), words.remote(8, 8), operand))
				expect(fmt.Sprintf("fetch-add of %#x to %#x", operand, start), start, start+operand)

				words.setWord(8, start)
				l.a.do(compareSwap(2, former.at(8, 8), words.remote(8, 8), start, operand))
				expect(fmt.Sprintf("compare-swap of %#x to %#x", start, operand), start, operand)

				words.setWord(8, start)
				l.a.do(compareSwap(3, former.at(8, 8), words.remote(8, 16), start+1, operand))
				expect(fmt.Sprintf("compare-swap that finds %#x, not %#x", start, start+1), start, start)
			}
		}
	})
}

// addArgs are those of one connection's adds.
type addArgs struct {
	Loop   loopArgs
	Former place // Depth words
	Word   transport.RemoteSpan
	Depth  int
	Count  int
}

// addMany posts fetch-adds of 1 and returns what each fetched.
var addMany = define("add many", func(a *agent, args addArgs) ([]uint64, error) {
	l, former := a.loop(args.Loop), get[*transport.Region](a, args.Former.Region)
	var fetched []uint64
	for len(fetched) < args.Count {
		n := min(args.Depth, args.Count-len(fetched))
		for i := range n {
			l.post(transport.FetchAdd(uint64(i), former.Span(i*8, 8), args.Word, 1).With(transport.Signaled))
		}
		for i := range n {
			l.expectSent(uint64(i))
			fetched = append(fetched, former.Uint64(i*8).Load())
		}
	}
	return fetched, nil
})

type cpuAddArgs struct {
	Word  place
	Count int
}

// cpuAdd adds 1 with the CPU's own instruction and returns what each add
// fetched.
var cpuAdd = define("cpu add", func(a *agent, args cpuAddArgs) ([]uint64, error) {
	w, fetched := a.wordAt(args.Word), make([]uint64, args.Count)
	for i := range fetched {
		fetched[i] = w.Add(1) - 1
	}
	return fetched, nil
})

// joinOwner connects end a to the owner of a word, which is at end b, or that one
// to itself, with queues of their own.
func (p *pair) joinOwner(owner station, itself bool) link {
	p.Helper()
	from := p.a
	if itself {
		from = p.b
	}
	owner.sent, owner.received = p.b.queue(owner.sendDepth), p.b.queue(owner.recvDepth)
	return p.join(from.station(owner.shape), owner)[0]
}

// addFromEverywhere adds to one word of end b from connections of a, of b to
// itself, and with b's CPU. Every value up to the sum must have been fetched
// exactly once.
func addFromEverywhere(p *pair, cpus int) {
	const conns, depth = 6, 8
	each := p.rounds(2000)
	owner := p.b.station(shape{sendDepth: depth, recvDepth: 1})
	word := owner.alloc(8, transport.RemoteAll)
	var adding []*future[[]uint64]
	for i := range conns {
		l := p.joinOwner(owner, i%3 == 2)
		adding = append(adding, addMany.start(l.a.end, addArgs{l.a.loopArgs(), l.a.alloc(depth*8, transport.LocalOnly).all(), word.whole, depth, each}))
	}
	for range cpus {
		adding = append(adding, cpuAdd.start(p.b, cpuAddArgs{word.all(), each}))
	}
	var fetched []uint64
	for _, f := range adding {
		fetched = append(fetched, f.must()...)
	}
	slices.Sort(fetched)
	for i, value := range fetched {
		if value != uint64(i) {
			p.Fatalf("%d adds: %d was fetched where %d was due", len(fetched), value, i)
		}
	}
	if sum := word.word(0); sum != uint64(len(fetched)) {
		p.Fatalf("%d adds of 1 sum up to %d", len(fetched), sum)
	}
}

// lockArgs are those of one connection in lockFromEverywhere.
type lockArgs struct {
	Loop          loopArgs
	Scratch       place // 16 bytes
	Lock, Counter transport.RemoteSpan
	Count         int
	Name          uint64 // of the holder, not 0
}

// countUnderLock takes the lock by compare-and-swap, reads the counter, writes it
// back one higher, and gives the lock back.
var countUnderLock = action("count under lock", func(a *agent, args lockArgs) {
	l, scratch := a.loop(args.Loop), get[*transport.Region](a, args.Scratch.Region)
	former, counter := scratch.Uint64(0), scratch.Uint64(8)
	swap := func(id, compare, value uint64) {
		l.post(transport.CompareSwap(id, scratch.Span(0, 8), args.Lock, compare, value).With(transport.Signaled))
		l.expectSent(id)
	}
	for range args.Count {
		var idle pause
		for swap(1, 0, args.Name); former.Load() != 0; swap(1, 0, args.Name) {
			check(idle.after(false, a.patience, fmt.Sprintf("the lock, which %d holds", former.Load())))
		}
		l.post(transport.Read(2, scratch.Span(8, 8), args.Counter).With(transport.Signaled))
		l.expectSent(2)
		counter.Store(counter.Load() + 1)
		l.post(transport.Write(3, scratch.Span(8, 8), args.Counter)) // before the swap below, by the rules of ordering
		swap(4, args.Name, 0)
		if former.Load() != args.Name {
			check(fmt.Errorf("%w: %d holds the lock, and finds %d in it", errUnexpected, args.Name, former.Load()))
		}
	}
})

func lockFromEverywhere(p *pair) {
	const conns = 4
	each := p.rounds(150)
	owner := p.b.station(shape{sendDepth: 4, recvDepth: 1})
	words := owner.alloc(16, transport.RemoteAll)
	var counting []*future[none]
	for i := range conns {
		l := p.joinOwner(owner, i%2 == 1)
		counting = append(counting, countUnderLock.start(l.a.end, lockArgs{
			l.a.loopArgs(), l.a.alloc(16, transport.LocalOnly).all(), words.remote(0, 8), words.remote(8, 8), each, uint64(i + 1),
		}))
	}
	for _, f := range counting {
		f.must()
	}
	if lock, n := words.word(0), words.word(8); lock != 0 || n != uint64(conns*each) {
		p.Fatalf("%d connections counted to %d each under a lock; the counter says %d, the lock %d", conns, each, n, lock)
	}
}
